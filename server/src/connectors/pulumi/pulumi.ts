import { artifactFolder, artifactRef } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../../core/index.ts'
import { type ActionContext, type Connector, defineAction, type Reconciled } from '../connector.ts'
import type { SandboxedCommand, SandboxedResult } from '../sandboxed-command.ts'
import {
  assertEnded,
  codeOutput,
  enterFolder,
  lastWords,
  program,
  reaching,
  sha256,
  textOf,
  toolCode,
  toolFiles,
  toolHealth,
  toolLimits,
  toolSettings,
  workingIn,
} from '../tool-settings.ts'
import {
  changeSummary,
  type LastUpdate,
  lastUpdateOf,
  plannedStepsOf,
  previewOf,
  pulumiStep,
} from './plans.ts'

const settings = z.strictObject({
  ...toolSettings,
  program: program.default('pulumi'),
  stack: z.string().regex(/^[\w./-]+$/),
  /** The secret has a field `passphrase`, which decrypts the stack's own secrets. The program is given its value. */
  passphrase: z.boolean().default(false),
})
type Settings = z.output<typeof settings>

const planFile = 'keyward.plan.json'
const own = '.keyward'
const previewJson = `${own}/preview.json`
const historyJson = `${own}/history.json`
const outputJson = `${own}/outputs.json`
const passphraseFile = '.keyward/passphrase'

const none = z.strictObject({})
const outputs = z.record(z.string(), z.json())

const previewed = z.object({
  summary: changeSummary,
  steps: z.array(pulumiStep),
  artifact: artifactRef,
  /** SHA-256 of the update plan, lower-case hex. */
  planSha256: z.string(),
  /** Of the update that was the stack's last one; 0 before the first. */
  version: z.int(),
  ...codeOutput,
})
const previewInput = z.strictObject({ code: toolCode.optional() })

const upInput = z.strictObject({
  artifact: artifactRef,
  planSha256: z.string(),
  version: z.int(),
  /** Where in the artifact the project lies. */
  path: artifactFolder.default('.'),
})
type UpInput = z.output<typeof upInput>
const updated = z.object({ version: z.int(), outputs })

type Context = ActionContext & { readonly settings: unknown }
const settingsOf = (context: Pick<Context, 'settings'>): Settings => context.settings as Settings

/** `$0` is the program, `$1` the stack. Nothing of what a task says is part of a script. */
const start = `${enterFolder}mkdir -p ${own}
if [ -e "$HOME/${passphraseFile}" ]; then export PULUMI_CONFIG_PASSPHRASE_FILE="$HOME/${passphraseFile}"; fi
`
const common = '--non-interactive --stack "$1"'
const look = `"$0" stack history --json --page-size 1 ${common} > ${historyJson}
"$0" stack output --json ${common} > ${outputJson}`
const scripts = {
  preview: `${start}"$0" stack history --json --page-size 1 ${common} > ${historyJson}
"$0" preview --json --save-plan ${planFile} ${common} > ${previewJson}`,
  read: 'exec true',
  up: `${start}"$0" up --yes --skip-preview --plan ${planFile} ${common}
${look}`,
  destroy: `${start}"$0" destroy --yes --skip-preview ${common}
${look}`,
  refresh: `${start}"$0" refresh --yes --skip-preview ${common}
${look}`,
  cancel: `${start}"$0" cancel --yes ${common}`,
  look: `${start}${look}`,
  dryDestroy: `${start}"$0" destroy --preview-only --json ${common} > ${previewJson}`,
  dryRefresh: `${start}"$0" refresh --preview-only --json ${common} > ${previewJson}`,
} as const

type Wanted = Pick<SandboxedCommand, 'keep'> & {
  readonly read?: readonly string[]
  readonly artifact?: UpInput['artifact']
  /** Where the project lies, below /workspace; what is read lies there, too. */
  readonly path?: string
}

async function run(
  context: Context,
  script: keyof typeof scripts,
  { artifact, read = [], path = '.', ...wanted }: Wanted = {},
): Promise<SandboxedResult> {
  const set = settingsOf(context)
  const { at, environment } = workingIn(path)
  const offline = script === 'read'
  const title = `pulumi ${script}`
  const result = await context.run({
    ...wanted,
    read: read.map(at),
    title,
    command: ['/bin/sh', '-c', scripts[script], set.program, set.stack],
    environment: {
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      PULUMI_EXPERIMENTAL: 'true',
      ...set.environment,
      ...environment,
    },
    workspace: artifact ? { artifact } : { folder: set.folder },
    readOnly: toolFiles(set, set.program),
    limits: toolLimits(set),
    ...(offline ? {} : reaching(set)),
    ...(set.passphrase && !offline
      ? { secretFiles: { [passphraseFile]: await context.secret('passphrase') } }
      : {}),
  })
  assertEnded(title, result)
  if (result.exitCode !== 0) throw failed(title, result)
  const files = read.flatMap((file) => {
    const content = result.files.get(at(file))
    return content ? [[file, content] as const] : []
  })
  return { ...result, files: new Map(files) }
}

function failed(title: string, result: SandboxedResult): AppError {
  const words = lastWords(result)
  if (/update is currently in progress|stack is currently locked/i.test(words))
    return new AppError('connector.unavailable', 'another update of the stack is at work; nothing was done')
  if (/violates plan/i.test(words))
    return new AppError(
      'connector.refused',
      `the update would have done something that was not planned, and stopped there; preview again: ${words}`,
    )
  return new AppError('connector.refused', `${title} exited with ${result.exitCode}: ${words}`)
}

const secretFields = ['passphrase']

const preview = defineAction({
  name: 'pulumi.preview',
  title: 'Preview changes of a stack',
  input: previewInput,
  output: previewed,
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions: ['read of the stack', 'read of everything that it manages'],
  secretFields,
  async execute(context) {
    const { code } = context.input
    const path = code?.path ?? '.'
    const from = code ? { artifact: code.artifact } : {}
    const read = [previewJson, planFile, historyJson]
    const result = await run(context, 'preview', { ...from, path, keep: ['.'], read })
    const { artifact, files } = result
    const saved = files.get(planFile)
    if (!artifact || !saved)
      throw new AppError('connector.refused', 'pulumi preview saved no plan, or one of more than 16 MiB')
    return {
      ...previewOf(textOf(files, previewJson)),
      artifact,
      planSha256: sha256(saved),
      version: lastUpdateOf(textOf(files, historyJson))?.version ?? 0,
      path,
      sha: code?.sha ?? null,
    }
  },
})

const up = defineAction({
  name: 'pulumi.up',
  title: 'Update a stack, held to a plan',
  input: upInput,
  output: updated,
  risk: 'high',
  reversible: false,
  idempotent: false,
  permissions: ['change of the stack', 'change of everything that it manages'],
  cost: 'what the plan creates, by its providers from then on',
  secretFields,
  async preview(context) {
    const { planSha256 } = context.input
    return { stack: settingsOf(context).stack, steps: await stepsOf(context), planSha256 }
  },
  async execute(context) {
    const { artifact, path } = context.input
    await stepsOf(context)
    return updatedBy(await run(context, 'up', { artifact, path, read: [historyJson, outputJson] }))
  },
  reconcile: (context) => reconciled(context, context.input.version, 'update'),
})

/** Read from the plan itself, in a sandbox that reaches nothing. */
async function stepsOf(context: Context & { readonly input: UpInput }) {
  const { artifact, path, planSha256 } = context.input
  const { files } = await run(context, 'read', { artifact, path, read: [planFile] })
  const saved = files.get(planFile)
  if (!saved || sha256(saved) !== planSha256)
    throw new AppError('connector.refused', 'the saved plan is not the one that was previewed; preview again')
  return plannedStepsOf(saved.toString('utf8'))
}

const versionInput = z.strictObject({
  /** Of the stack's last update, from `pulumi.outputs`: another one since then is not gone over. */
  version: z.int(),
})

/** What the CLI works out anew when it does it: there is no plan to hold it to. */
function unplanned(verb: 'destroy' | 'refresh') {
  return defineAction({
    name: `pulumi.${verb}`,
    title: verb === 'destroy' ? 'Destroy all of a stack' : 'Have a stack take over what is really there',
    input: versionInput,
    output: updated,
    risk: verb === 'destroy' ? 'critical' : 'medium',
    reversible: false,
    idempotent: false,
    permissions: ['change of the stack', 'change of everything that it manages'],
    secretFields,
    async preview(context) {
      await assertVersion(context)
      const { files } = await run(context, verb === 'destroy' ? 'dryDestroy' : 'dryRefresh', {
        read: [previewJson],
      })
      return { stack: settingsOf(context).stack, ...previewOf(textOf(files, previewJson)) }
    },
    async execute(context) {
      await assertVersion(context)
      return updatedBy(await run(context, verb, { read: [historyJson, outputJson] }))
    },
    reconcile: (context) => reconciled(context, context.input.version, verb),
  })
}

async function assertVersion(context: Context & { readonly input: { version: number } }): Promise<void> {
  const { last } = await lookAt(context)
  const version = last?.version ?? 0
  if (version === context.input.version) return
  throw new AppError(
    'connector.refused',
    `the stack is at version ${version}, not ${context.input.version}; look again`,
  )
}

const stackOutputs = defineAction({
  name: 'pulumi.outputs',
  title: 'Read the outputs of a stack',
  input: none,
  output: updated,
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions: ['read of the stack'],
  secretFields,
  async execute(context) {
    const { last, outputs: values } = await lookAt(context)
    return { version: last?.version ?? 0, outputs: values }
  },
})

const cancel = defineAction({
  name: 'pulumi.cancel',
  title: 'Take the lock of an update that is dead',
  input: none,
  output: z.object({ cancelled: z.literal(true) }),
  risk: 'high',
  reversible: false,
  idempotent: true,
  permissions: ['change of the stack'],
  secretFields,
  preview: async (context) => ({ stack: settingsOf(context).stack }),
  async execute(context) {
    await run(context, 'cancel')
    return { cancelled: true as const }
  },
})

type Stack = { last: LastUpdate | undefined; outputs: z.output<typeof outputs> }

const lookAt = async (context: Context): Promise<Stack> =>
  stackOf(await run(context, 'look', { read: [historyJson, outputJson] }))

/** Secret outputs come as `[secret]`: nothing here asks for more. */
const stackOf = ({ files }: SandboxedResult): Stack => ({
  last: lastUpdateOf(textOf(files, historyJson)),
  outputs: outputs.parse(JSON.parse(textOf(files, outputJson) || '{}')),
})

function updatedBy(result: SandboxedResult): z.output<typeof updated> {
  const { last, outputs: values } = stackOf(result)
  return { version: last?.version ?? 0, outputs: values }
}

/** The stack's history says what has been done. */
async function reconciled(
  context: Context,
  version: number,
  kind: string,
): Promise<Reconciled<z.output<typeof updated>>> {
  const { last, outputs: values } = await lookAt(context)
  if (last && last.version > version && last.kind === kind && last.result === 'succeeded')
    return { effect: 'done', output: { version: last.version, outputs: values } }
  const now = last ? `its last one is ${last.version}, a ${last.kind} that ${last.result}` : 'it has had none'
  return { effect: 'unknown', reason: `the stack was at update ${version}, and ${now}` }
}

/** Pulumi, by its command line. An update is held to what was previewed: https://www.pulumi.com/docs/concepts/update-plans/ */
export const pulumi: Connector = {
  name: 'pulumi',
  title: 'Pulumi',
  docs: 'https://www.pulumi.com/docs/iac/cli/',
  settings,
  secretFields: [{ name: 'passphrase', title: 'Passphrase of the stack', optional: true }],
  actions: [preview, up, unplanned('destroy'), unplanned('refresh'), stackOutputs, cancel],
  health: ({ settings: set }) => toolHealth(set as Settings),
}
