import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { AppError } from '../core/index.ts'
import type { RootFile } from './root-files.ts'

// An image may have another C library than the host, or an older one. Keyward's own programs bring theirs into the sandbox, and
// are started by their own loader.

const folder = '/opt/keyward/lib'

export type OwnRuntime = {
  files: readonly RootFile[]
  /** The words that start one of the programs, as it is called inside. */
  start(program: string): string[]
}

/** `programs`: each place inside with the host's file for it. All must be for the same loader. */
export function ownRuntime(programs: Readonly<Record<string, string>>): OwnRuntime {
  const host = Object.values(programs)
  const [loader] = host.map(loaderOf)
  if (loader === undefined) throw cannot('none of its programs names a loader')
  const found = host.flatMap((program) => librariesOf(loader, program))
  const libraries = new Map(found.map(({ name, file }) => [name, file]))
  const inside = (name: string): string => join(folder, name)
  return {
    files: [
      { path: inside(basename(loader)), from: realpathSync(loader) },
      ...[...libraries].map(([name, from]) => ({ path: inside(name), from })),
      ...Object.entries(programs).map(([path, from]) => ({ path, from })),
    ],
    start: (program) => [inside(basename(loader)), '--library-path', folder, program],
  }
}

const cannot = (why: string): AppError =>
  new AppError('sandbox.failed', `Keyward's own programs cannot be brought into an image: ${why}.`)

/** Of the ELF header of a 64-bit program, by the System V ABI: where its program headers are, how long, how many. */
const elf = { headersAt: 0x20, sizeAt: 0x36, countAt: 0x38, interpreter: 3 }

/** The program that loads another one with its libraries. Undefined for one that needs none. */
function loaderOf(program: string): string | undefined {
  const file = openSync(program, 'r')
  const read = (at: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length)
    return bytes.subarray(0, readSync(file, bytes, 0, length, at))
  }
  try {
    const header = read(0, 64)
    if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46) throw cannot(`${program} is no program`)
    const at = Number(header.readBigUInt64LE(elf.headersAt))
    const size = header.readUInt16LE(elf.sizeAt)
    for (let index = 0; index < header.readUInt16LE(elf.countAt); index++) {
      const one = read(at + index * size, size)
      if (one.readUInt32LE(0) !== elf.interpreter) continue
      const name = read(Number(one.readBigUInt64LE(8)), Number(one.readBigUInt64LE(32)))
      return name.toString('latin1').replace(/\0+$/, '')
    }
    return undefined
  } finally {
    closeSync(file)
  }
}

/** `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`, a line for each; the loader and the kernel's own have no arrow. */
function librariesOf(loader: string, program: string): { name: string; file: string }[] {
  const { status, stdout } = spawnSync(loader, ['--list', program], { encoding: 'utf8', env: {} })
  if (status !== 0) throw cannot(`${loader} does not list the libraries of ${program}`)
  return stdout.split('\n').flatMap((line) => {
    const found = /^\s*(\S+) => (\/\S+)/.exec(line)
    const [, name, file] = found ?? []
    return name !== undefined && file !== undefined
      ? [{ name: basename(name), file: realpathSync(file) }]
      : []
  })
}
