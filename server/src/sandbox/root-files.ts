import { existsSync, lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

// What a command finds as the system's files: those of the host, or those of an image. Whichever driver puts them there.

/** A place in the sandbox: something of the host, mounted read-only, or a link. */
export type RootFile = { path: string; from: string } | { path: string; target: string }

/** A prepared tree of files that stands in for the host's. */
export type SandboxImage = {
  name: string
  /** Of the whole tree. */
  digest: string
  /** The host folder that holds it. Nobody but the server writes to it. */
  root: string
  /** What its maker wants set for each command. */
  environment: Readonly<Record<string, string>>
}

/** What programs need of /etc, and nothing that could hold a key of the host. */
const shownOfEtc = [
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'alternatives',
  'ssl/certs',
  'ssl/openssl.cnf',
  'localtime',
  'timezone',
  'mime.types',
  'services',
  'protocols',
  'debian_version',
  'os-release',
]

/** The host's programs. On a merged /usr the others are links to it. */
export function hostRootFiles(): RootFile[] {
  const same = (path: string): RootFile => ({ path, from: path })
  const beside = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'].flatMap((name) => {
    const path = join('/', name)
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (!found) return []
    return [found.isSymbolicLink() ? { path, target: readlinkSync(path) } : same(path)]
  })
  // Not links that lead nowhere.
  const settings = shownOfEtc.map((name) => join('/etc', name)).filter((path) => existsSync(path))
  return [same('/usr'), ...beside, ...settings.map(same)]
}

/** What a sandbox has of its own, whatever an image has there. */
const ownPlaces = [
  '/proc',
  '/sys',
  '/dev',
  '/run',
  '/tmp',
  '/workspace',
  '/writable',
  '/var/tmp',
  '/home/agent',
  '/opt/keyward',
  '/etc/passwd',
  '/etc/group',
  '/etc/hosts',
  // Where an engine puts its own.
  '/etc/hostname',
  '/etc/resolv.conf',
]

/** Folders in which some places are the sandbox's own, so that the others are mounted one by one. */
const shared = ['/etc', '/home', '/opt', '/var']

/** Top to bottom. A shared folder that is a link in the image is not there: it would lead the sandbox's own places away. */
export function imageRootFiles(root: string): RootFile[] {
  const within = (folder: string): RootFile[] =>
    readdirSync(join(root, folder)).flatMap((name) => {
      const path = join(folder, name)
      if (ownPlaces.includes(path)) return []
      const from = join(root, path)
      const found = lstatSync(from)
      if (shared.includes(path)) return found.isDirectory() ? within(path) : []
      return [found.isSymbolicLink() ? { path, target: readlinkSync(from) } : { path, from }]
    })
  return within('/')
}
