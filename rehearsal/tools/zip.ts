/** Reads the zip archives that HashiCorp publishes: a few files at the top, stored or deflated. */
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const endSize = 22;

/** Files are executable: a release holds programs, and texts do no harm by it. */
export function extractZip(file: string, directory: string): void {
  const descriptor = openSync(file, "r");
  try {
    const read = (position: number, size: number): Buffer => {
      const buffer = Buffer.alloc(size);
      if (readSync(descriptor, buffer, 0, size, position) !== size) throw new Error(`${file} ends too early`);
      return buffer;
    };
    for (const entry of readEntries(file, fstatSync(descriptor).size, read)) {
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(entry.name)) continue;
      const local = read(entry.offset, 30);
      const start = entry.offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
      const packed = read(start, entry.packedSize);
      writeFileSync(join(directory, entry.name), entry.deflated ? inflateRawSync(packed) : packed, {
        mode: 0o755,
      });
    }
  } finally {
    closeSync(descriptor);
  }
}

interface Entry {
  readonly name: string;
  readonly deflated: boolean;
  readonly packedSize: number;
  readonly offset: number;
}

function readEntries(file: string, size: number, read: (position: number, size: number) => Buffer): Entry[] {
  const tail = read(Math.max(0, size - 65_536), Math.min(size, 65_536));
  let end = tail.length - endSize;
  while (end >= 0 && tail.readUInt32LE(end) !== endSignature) end -= 1;
  if (end < 0) throw new Error(`${file} is not a zip archive`);
  const count = tail.readUInt16LE(end + 10);
  const directory = read(tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));

  const entries: Entry[] = [];
  for (let position = 0; entries.length < count; ) {
    if (directory.readUInt32LE(position) !== entrySignature)
      throw new Error(`${file} has a broken directory`);
    const nameSize = directory.readUInt16LE(position + 28);
    entries.push({
      name: directory.toString("utf8", position + 46, position + 46 + nameSize),
      deflated: directory.readUInt16LE(position + 10) === 8,
      packedSize: directory.readUInt32LE(position + 20),
      offset: directory.readUInt32LE(position + 42),
    });
    position += 46 + nameSize + directory.readUInt16LE(position + 30) + directory.readUInt16LE(position + 32);
  }
  return entries;
}
