/** What DigitalOcean sells, as far as a rehearsal needs it. Prices are of the order of the real ones, no offer. */

export interface Region {
  readonly slug: string;
  readonly name: string;
}

export interface Size {
  readonly slug: string;
  readonly vcpus: number;
  /** MiB. */
  readonly memory: number;
  /** GiB. */
  readonly disk: number;
  /** US dollars a month. */
  readonly monthly: number;
  readonly description: string;
}

export interface Image {
  readonly id: number;
  readonly slug: string;
  readonly distribution: string;
  readonly name: string;
}

export const regions: readonly Region[] = [
  { slug: "nyc1", name: "New York 1" },
  { slug: "nyc2", name: "New York 2" },
  { slug: "nyc3", name: "New York 3" },
  { slug: "sfo2", name: "San Francisco 2" },
  { slug: "sfo3", name: "San Francisco 3" },
  { slug: "ams3", name: "Amsterdam 3" },
  { slug: "sgp1", name: "Singapore 1" },
  { slug: "lon1", name: "London 1" },
  { slug: "fra1", name: "Frankfurt 1" },
  { slug: "tor1", name: "Toronto 1" },
  { slug: "blr1", name: "Bangalore 1" },
  { slug: "syd1", name: "Sydney 1" },
];

type Row = readonly [slug: string, vcpus: number, memoryGib: number, disk: number, monthly: number];
const family = (description: string, rows: readonly Row[]): Size[] =>
  rows.map(([slug, vcpus, memoryGib, disk, monthly]) => ({
    slug,
    vcpus,
    memory: memoryGib * 1024,
    disk,
    monthly,
    description,
  }));

export const sizes: readonly Size[] = [
  ...family("Basic", [
    ["s-1vcpu-512mb-10gb", 1, 0.5, 10, 4],
    ["s-1vcpu-1gb", 1, 1, 25, 6],
    ["s-1vcpu-2gb", 1, 2, 50, 12],
    ["s-2vcpu-2gb", 2, 2, 60, 18],
    ["s-2vcpu-4gb", 2, 4, 80, 24],
    ["s-4vcpu-8gb", 4, 8, 160, 48],
    ["s-8vcpu-16gb", 8, 16, 320, 96],
  ]),
  ...family("Premium AMD", [
    ["s-1vcpu-2gb-amd", 1, 2, 50, 14],
    ["s-2vcpu-4gb-amd", 2, 4, 80, 28],
    ["s-4vcpu-8gb-amd", 4, 8, 160, 56],
    ["s-8vcpu-16gb-amd", 8, 16, 320, 112],
  ]),
  ...family("Premium Intel", [
    ["s-1vcpu-2gb-intel", 1, 2, 50, 14],
    ["s-2vcpu-4gb-intel", 2, 4, 80, 28],
    ["s-4vcpu-8gb-intel", 4, 8, 160, 56],
    ["s-8vcpu-16gb-intel", 8, 16, 320, 112],
  ]),
  ...family("General Purpose", [
    ["g-2vcpu-8gb", 2, 8, 25, 63],
    ["g-4vcpu-16gb", 4, 16, 50, 126],
    ["g-8vcpu-32gb", 8, 32, 100, 252],
    ["g-16vcpu-64gb", 16, 64, 200, 504],
  ]),
  ...family("CPU-Optimized", [
    ["c-2", 2, 4, 25, 42],
    ["c-4", 4, 8, 50, 84],
    ["c-8", 8, 16, 100, 168],
    ["c-16", 16, 32, 200, 336],
  ]),
  ...family("Memory-Optimized", [
    ["m-2vcpu-16gb", 2, 16, 50, 84],
    ["m-4vcpu-32gb", 4, 32, 100, 168],
  ]),
];

export const images: readonly Image[] = [
  { id: 192_000_001, slug: "debian-12-x64", distribution: "Debian", name: "12 x64" },
  { id: 192_000_002, slug: "debian-13-x64", distribution: "Debian", name: "13 x64" },
  { id: 192_000_003, slug: "ubuntu-22-04-x64", distribution: "Ubuntu", name: "22.04 (LTS) x64" },
  { id: 192_000_004, slug: "ubuntu-24-04-x64", distribution: "Ubuntu", name: "24.04 (LTS) x64" },
  { id: 192_000_005, slug: "fedora-42-x64", distribution: "Fedora", name: "42 x64" },
  { id: 192_000_006, slug: "rockylinux-9-x64", distribution: "Rocky Linux", name: "9 x64" },
  { id: 192_000_007, slug: "centos-stream-9-x64", distribution: "CentOS", name: "Stream 9 x64" },
];

const everywhere = regions.map(({ slug }) => slug);

export function renderRegion({ slug, name }: Region) {
  return {
    slug,
    name,
    available: true,
    features: ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"],
    sizes: sizes.map((size) => size.slug),
  };
}

export function renderSize({ slug, vcpus, memory, disk, monthly, description }: Size) {
  return {
    slug,
    vcpus,
    memory,
    disk,
    description,
    transfer: Math.max(0.5, vcpus),
    price_monthly: monthly,
    price_hourly: Number((monthly / 672).toFixed(5)),
    regions: everywhere,
    available: true,
  };
}

export function renderImage({ id, slug, distribution, name }: Image) {
  return {
    id,
    slug,
    distribution,
    name,
    type: "base",
    public: true,
    status: "available",
    description: `${distribution} ${name}`,
    regions: everywhere,
    created_at: "2025-08-13T05:00:00Z",
    min_disk_size: 10,
    size_gigabytes: 1.5,
    tags: [],
  };
}
