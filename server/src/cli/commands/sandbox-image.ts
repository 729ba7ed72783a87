import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { api, type ImageView } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export const imageCommand = (needs: Needs): Command =>
  commandGroup('image', 'Root file systems that commands in sandboxes can find: add, list, verify, remove', [
    addCommand(needs),
    listCommand(needs),
    verifyCommand(needs),
    removeCommand(needs),
  ])

type AddOptions = CommonOptions & {
  readonly from?: string
  readonly digest?: string
  readonly debian?: string
  readonly include?: string
  readonly mirror?: string
}

function addCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'add <name>',
    summary: 'Make an image of an archive on the server’s machine',
    details:
      'The archive is a root file system as tar, an OCI layout as tar, or what "docker save" or "podman save" writes; the layers may be \
packed with gzip or zstd. It is unpacked inside a sandbox, and kept read-only. With --debian, the archive is made here by mmdebstrap, which loads \
packages from the network.',
    examples: [
      'keyward sandbox image add node --from node.tar',
      'keyward sandbox image add tools --debian bookworm --include git,python3',
    ],
  })
    .option('--from <file>', 'the archive')
    .option('--digest <sha256>', 'what the archive must be: sha256:…')
    .option('--debian <suite>', 'a release of Debian, such as bookworm, in place of an archive')
    .option('--include <packages>', 'packages besides the essential ones, with commas between them')
    .option('--mirror <url>', 'where mmdebstrap loads packages from')
    .action(async (name: string, options: AddOptions) => {
      const client = await connect(needs, options)
      const { image, examples } = await withArchive(options, (archive) =>
        client.call(api.images.add, {
          name,
          archive,
          ...(options.digest === undefined ? {} : { digest: options.digest }),
        }),
      )
      if (options.json) return terminal.json({ image, examples })
      terminal.note(`Image ${image.name}: ${image.files} files, ${megabytes(image)} MiB, ${image.digest}`)
      if (image.leftOut > 0)
        terminal.note(
          `${image.leftOut} of the archive left out, the first: ${examples[0]?.path} (${examples[0]?.reason})`,
        )
    })
}

const megabytes = ({ sizeBytes }: Pick<ImageView, 'sizeBytes'>): string => (sizeBytes / 1024 ** 2).toFixed(0)

async function withArchive<T>(options: AddOptions, use: (archive: string) => Promise<T>): Promise<T> {
  const { from, debian } = options
  if ((from === undefined) === (debian === undefined))
    throw new AppError('request.invalid', 'Say either --from FILE or --debian SUITE.')
  if (from !== undefined) return use(resolve(from))
  const folder = await mkdtemp(join(tmpdir(), 'keyward-image-'))
  try {
    const archive = join(folder, `debian-${debian}.tar`)
    await debootstrap(options, archive)
    return await use(archive)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What it says goes to standard error: it takes minutes. */
async function debootstrap({ debian = '', include, mirror }: AddOptions, archive: string): Promise<void> {
  const words = [
    '--variant=minbase',
    ...(include === undefined ? [] : [`--include=${include}`]),
    ...['--', debian, archive],
    ...(mirror === undefined ? [] : [mirror]),
  ]
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn('mmdebstrap', words, { stdio: ['ignore', 2, 2] })
    child.once('error', () =>
      reject(new AppError('image.invalid', 'mmdebstrap is not installed. Run: apt-get install mmdebstrap')),
    )
    child.once('close', resolve)
  })
  if (code !== 0) throw new AppError('image.invalid', `mmdebstrap ended with ${code}. Nothing was added.`)
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<ImageView>[] = [
    { title: 'name', value: ({ name }) => name },
    { title: 'mib', value: megabytes, align: 'right' },
    { title: 'files', value: ({ files }) => String(files), align: 'right' },
    { title: 'in use', value: ({ inUse }) => String(inUse), align: 'right' },
    { title: 'agents', value: ({ agents }) => String(agents.length), align: 'right' },
    { title: 'added', value: ({ addedAt }) => shortTime(addedAt) },
    { title: 'from', value: ({ source }) => source, shrink: true },
    { title: 'digest', value: ({ digest }) => digest },
  ]
  return serverCommand({
    usage: 'list',
    summary: 'Images that commands in sandboxes can run in',
    examples: ['keyward sandbox image list'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.images.list, {})
    if (options.json) terminal.json({ items })
    else if (items.length === 0) terminal.note('None: commands find the files of the machine.')
    else terminal.write(renderTable(columns, items, terminal.columns))
  })
}

function verifyCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'verify <name>',
    summary: 'Compare the files of an image with those that were added',
    examples: ['keyward sandbox image verify node'],
  }).action(async (imageName: string, options: CommonOptions) => {
    const image = await (await connect(needs, options)).call(api.images.verify, { imageName })
    if (options.json) terminal.json(image)
    else terminal.note(`Image ${image.name} is as it was added: ${image.digest}`)
  })
}

function removeCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'remove <name>',
    summary: 'Remove an image that nothing runs in',
    examples: ['keyward sandbox image remove node'],
  }).action(async (imageName: string, options: CommonOptions) => {
    await (await connect(needs, options)).call(api.images.remove, { imageName })
    if (options.json) terminal.json({})
    else terminal.note(`Image ${imageName} is removed.`)
  })
}
