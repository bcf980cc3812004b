/** What Hetzner Cloud sells, as far as a rehearsal needs it. Prices are of the order of the real ones, no offer. */

export interface Location {
  readonly id: number;
  readonly name: string;
  readonly city: string;
  readonly country: string;
  readonly description: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly network_zone: string;
}

export interface ServerType {
  readonly id: number;
  readonly name: string;
  readonly cores: number;
  readonly memory: number;
  readonly disk: number;
  readonly cpu: "shared" | "dedicated";
  readonly architecture: "x86" | "arm";
  readonly locations: readonly string[];
  readonly hourly: number;
}

export interface Image {
  readonly id: number;
  readonly name: string;
  readonly flavor: "ubuntu" | "debian" | "fedora" | "rocky" | "alma";
  readonly version: string;
  readonly architecture: "x86" | "arm";
}

const place = (
  id: number,
  name: string,
  city: string,
  country: string,
  at: [number, number],
  zone: string,
) => ({
  id,
  name,
  city,
  country,
  description: `${city} DC Park 1`,
  latitude: at[0],
  longitude: at[1],
  network_zone: zone,
});

export const locations: readonly Location[] = [
  place(1, "fsn1", "Falkenstein", "DE", [50.47612, 12.370071], "eu-central"),
  place(2, "nbg1", "Nuremberg", "DE", [49.452102, 11.076665], "eu-central"),
  place(3, "hel1", "Helsinki", "FI", [60.169855, 24.938379], "eu-central"),
  place(4, "ash", "Ashburn, VA", "US", [39.045821, -77.487073], "us-east"),
  place(5, "hil", "Hillsboro, OR", "US", [45.54222, -122.951924], "us-west"),
  place(6, "sin", "Singapore", "SG", [1.283333, 103.833333], "ap-southeast"),
];

const europe = ["fsn1", "nbg1", "hel1"];
const overseas = ["ash", "hil", "sin"];

type Row = readonly [id: number, name: string, cores: number, memory: number, disk: number, hourly: number];
const family = (
  cpu: ServerType["cpu"],
  architecture: ServerType["architecture"],
  where: readonly string[],
  rows: readonly Row[],
): ServerType[] =>
  rows.map(([id, name, cores, memory, disk, hourly]) => ({
    id,
    name,
    cores,
    memory,
    disk,
    cpu,
    architecture,
    locations: where,
    hourly,
  }));

export const serverTypes: readonly ServerType[] = [
  ...family("shared", "x86", europe, [
    [114, "cx23", 2, 4, 40, 0.0056],
    [115, "cx33", 4, 8, 80, 0.0088],
    [116, "cx43", 8, 16, 160, 0.015],
    [117, "cx53", 16, 32, 320, 0.0279],
    [108, "cpx12", 1, 2, 40, 0.0104],
    [109, "cpx22", 2, 4, 80, 0.0104],
    [110, "cpx32", 4, 8, 160, 0.0176],
    [111, "cpx42", 8, 16, 320, 0.032],
    [112, "cpx52", 12, 24, 480, 0.0457],
    [113, "cpx62", 16, 32, 640, 0.0625],
  ]),
  ...family("shared", "x86", overseas, [
    [22, "cpx11", 2, 2, 40, 0.0072],
    [23, "cpx21", 3, 4, 80, 0.0136],
    [24, "cpx31", 4, 8, 160, 0.0248],
    [25, "cpx41", 8, 16, 240, 0.0464],
    [26, "cpx51", 16, 32, 360, 0.0977],
  ]),
  ...family("shared", "arm", europe, [
    [45, "cax11", 2, 4, 40, 0.0061],
    [93, "cax21", 4, 8, 80, 0.0104],
    [94, "cax31", 8, 16, 160, 0.0208],
    [95, "cax41", 16, 32, 320, 0.0408],
  ]),
  ...family(
    "dedicated",
    "x86",
    [...europe, ...overseas],
    [
      [96, "ccx13", 2, 8, 80, 0.02],
      [97, "ccx23", 4, 16, 160, 0.0392],
      [98, "ccx33", 8, 32, 240, 0.0777],
      [99, "ccx43", 16, 64, 360, 0.1545],
      [100, "ccx53", 32, 128, 600, 0.3085],
      [101, "ccx63", 48, 192, 960, 0.4622],
    ],
  ),
];

const release = (id: number, flavor: Image["flavor"], version: string): Image[] => [
  { id, name: `${flavor}-${version}`, flavor, version, architecture: "x86" },
  { id: id + 1, name: `${flavor}-${version}`, flavor, version, architecture: "arm" },
];

export const images: readonly Image[] = [
  ...release(114690387, "debian", "12"),
  ...release(310557660, "debian", "13"),
  ...release(67794396, "ubuntu", "22.04"),
  ...release(161547269, "ubuntu", "24.04"),
  ...release(308416377, "fedora", "42"),
  ...release(45778092, "rocky", "9"),
  ...release(45557056, "alma", "9"),
];

export function renderLocation(location: Location) {
  return { ...location };
}

export function renderServerType(type: ServerType) {
  const money = (net: number) => ({ net: net.toFixed(10), gross: (net * 1.19).toFixed(10) });
  return {
    id: type.id,
    name: type.name,
    description: type.name.toUpperCase(),
    category: type.cpu === "dedicated" ? "General Purpose" : "Cost-Optimized",
    cores: type.cores,
    memory: type.memory,
    disk: type.disk,
    deprecated: false,
    deprecation: null,
    prices: type.locations.map((location) => ({
      location,
      price_hourly: money(type.hourly),
      price_monthly: money(type.hourly * 624),
      included_traffic: 21_990_232_555_520,
      price_per_tb_traffic: money(1),
    })),
    storage_type: "local",
    cpu_type: type.cpu,
    architecture: type.architecture,
    locations: locations
      .filter(({ name }) => type.locations.includes(name))
      .map(({ id, name }) => ({ id, name, deprecation: null })),
  };
}

export function renderImage(image: Image) {
  return {
    id: image.id,
    type: "system",
    status: "available",
    name: image.name,
    description: `${image.flavor} ${image.version}`,
    image_size: null,
    disk_size: 5,
    created: "2025-08-13T05:00:00+00:00",
    created_from: null,
    bound_to: null,
    os_flavor: image.flavor,
    os_version: image.version,
    rapid_deploy: true,
    protection: { delete: false },
    deprecated: null,
    labels: {},
    deleted: null,
    architecture: image.architecture,
  };
}
