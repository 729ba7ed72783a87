import { readFile, stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { api } from '@keyward/contract'
import { type Command, Option } from 'commander'
import { AppError, parseReference, type Secret } from '../../core/index.ts'
import type { Client } from '../client.ts'
import { type CommonOptions, commandGroup, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import type { CommandNeeds } from '../needs.ts'
import { writePrivateFile } from '../private-file.ts'
import { referencesIn, resolveReferences } from '../resolve-references.ts'
import { renderManifest, renderTemplate, type TemplateFormat } from '../templates/render.ts'
import { formatOf } from '../variables.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd'>
type RenderOptions = CommonOptions & {
  readonly out: string
  readonly format?: TemplateFormat
  readonly kubernetesSecret?: string
  readonly namespace?: string
  readonly watch?: boolean
  readonly every: number
}

export const templateCommand = (needs: Needs): Command =>
  commandGroup('template', 'Files with the values behind their references', [renderCommand(needs)])

function renderCommand(needs: Needs): Command {
  const { terminal, cwd } = needs
  return serverCommand({
    usage: 'render <file>',
    summary: 'Write a file with the values behind its references',
    details:
      'Each keyward://<mount>/<path>#<field> in the file is replaced by its value, quoted as the format wants it. The result\n' +
      'is written whole or not at all, readable for its user alone. Where a program can take its values from its\n' +
      'environment, prefer "keyward run": then they lie on no disk. --watch goes on and writes the file again when a secret\n' +
      'has a new version, or the template has changed.',
    examples: [
      'keyward template render app.env.template --format dotenv --out app.env',
      'keyward template render config.yaml --out /run/app/config.yaml --watch',
      'keyward template render app.env --kubernetes-secret app --namespace shop --out - | kubectl apply -f -',
    ],
  })
    .requiredOption('--out <file>', 'where to write; - is standard output')
    .addOption(
      new Option('--format <format>', 'of the file (default: by its ending, else text)').choices([
        'text',
        'dotenv',
        'json',
        'yaml',
      ]),
    )
    .option('--kubernetes-secret <name>', 'a manifest of a Kubernetes Secret with the variables of the file')
    .option('--namespace <name>', 'of the manifest')
    .option('--watch', 'go on until stopped')
    .option('--every <seconds>', 'how often --watch looks', wholeNumber(1, 86_400), 30)
    .action(async (file: string, options: RenderOptions) => {
      if (options.watch && options.out === '-')
        throw new AppError('request.invalid', '--watch writes a file: give --out a name')
      const client = await connect(needs, options)
      const path = resolve(cwd, file)
      const out = options.out === '-' ? '-' : resolve(cwd, options.out)
      let state = await render(client, path, out, options, terminal)
      if (options.json) terminal.json({ file: out, references: state.references })
      while (options.watch) {
        await sleep(options.every * 1000)
        state = await renderAgain(client, path, out, options, needs, state)
      }
    })
}

type State = { readonly seen: string; readonly references: readonly string[] }

async function render(
  client: Client,
  path: string,
  out: string,
  options: RenderOptions,
  terminal: Pick<CommandNeeds['terminal'], 'write'>,
): Promise<State> {
  const text = await readFile(path, 'utf8')
  const name = basename(path)
  const references = [...new Set(referencesIn(text, name))]
  // Before the values: what changes in between is seen the next time.
  const seen = options.watch ? await lookAt(client, path, references) : ''
  const values =
    references.length === 0
      ? new Map<string, Secret>()
      : await resolveReferences(client, references, `keyward template ${name}`.slice(0, 500))
  const template = { name, text, format: options.format ?? usualFormat(path) }
  const { kubernetesSecret, namespace } = options
  const content = kubernetesSecret
    ? await renderManifest(asVariables(template), values, { name: kubernetesSecret, namespace })
    : await renderTemplate(template, values)
  if (out === '-') terminal.write(content.reveal())
  else await writePrivateFile(out, content.reveal())
  return { seen, references }
}

/** An ending says what a file is; without one that is known, nothing is assumed about quotes. */
function usualFormat(path: string): TemplateFormat {
  const format = formatOf(path)
  return format === 'dotenv' && !/(?:^|[./])env$/i.test(path) ? 'text' : format
}

const asVariables = <T extends { format: TemplateFormat }>(template: T): T =>
  template.format === 'text' ? { ...template, format: 'dotenv' } : template

/** When the server cannot be asked, the file stays as it is, and it is asked again. */
async function renderAgain(
  client: Client,
  path: string,
  out: string,
  options: RenderOptions,
  { terminal }: Needs,
  state: State,
): Promise<State> {
  try {
    if ((await lookAt(client, path, state.references)) === state.seen) return state
    const next = await render(client, path, out, options, terminal)
    terminal.note(`${out} was written again.`)
    return next
  } catch (error) {
    terminal.note(`keyward: ${out} stays as it is: ${error instanceof AppError ? error.message : 'failed'}`)
    return state
  }
}

/** Versions of the secrets and the time of the template: no value is read to see that nothing is new. */
async function lookAt(client: Client, path: string, references: readonly string[]): Promise<string> {
  const paths = new Set(
    references.map((text) => parseReference(text)).map((ref) => `${ref.mount}/${ref.path}`),
  )
  const versions = await Promise.all(
    [...paths].map(async (secret) => [
      secret,
      (await client.call(api.secrets.read, { path: secret })).version,
    ]),
  )
  return JSON.stringify([(await stat(path)).mtimeMs, versions])
}
