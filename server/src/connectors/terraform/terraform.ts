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
import { type PlannedChanges, plannedChanges, plannedChangesOf, planSummary } from './changes.ts'

const settings = z.strictObject({
  ...toolSettings,
  /** `terraform`, `tofu`, or the absolute path of one of them. */
  program: program.default('terraform'),
  /** Values of input variables; none that is secret. */
  variables: z.record(z.string().regex(/^[A-Za-z_][\w-]*$/), z.json()).default({}),
})
type Settings = z.output<typeof settings>

const planFile = 'keyward.tfplan'
const own = '.keyward'
const planJson = `${own}/plan.json`
const stateJson = `${own}/state.json`
const outputJson = `${own}/outputs.json`

const planInput = z.strictObject({
  /** Plans to destroy everything that the state has. */
  destroy: z.boolean().default(false),
  /** Addresses of resources; all when there is none. */
  targets: z
    .array(z.string().regex(/^[\w.[\]"'-]+$/))
    .max(100)
    .default([]),
  /** Besides those of the connection. */
  variables: z.record(z.string(), z.json()).default({}),
  code: toolCode.optional(),
})

const planned = plannedChanges.extend({
  /** The configuration as it was planned with, and the saved plan. */
  artifact: artifactRef,
  /** SHA-256 of the saved plan, lower-case hex. */
  planSha256: z.string(),
  /** The state that it was planned against; null before the first one. */
  serial: z.int().nullable(),
  lineage: z.string().nullable(),
  ...codeOutput,
})

const applyInput = z.strictObject({
  artifact: artifactRef,
  planSha256: z.string(),
  serial: z.int().nullable(),
  lineage: z.string().nullable(),
  /** Where in the artifact the configuration lies. */
  path: artifactFolder.default('.'),
  /** Without it a plan is refused that deletes or replaces anything. */
  mayDestroy: z.boolean().default(false),
})
type ApplyInput = z.output<typeof applyInput>

const applied = z.object({
  summary: planSummary,
  serial: z.int().nullable(),
  lineage: z.string().nullable(),
  /** Those that are not sensitive. */
  outputs: z.record(z.string(), z.json()),
})

type Context = ActionContext & { readonly settings: unknown }
const settingsOf = (context: Pick<Context, 'settings'>): Settings => context.settings as Settings

/** `$0` is the program. Nothing of what a task says is part of the script. */
const planScript = `${enterFolder}mkdir -p ${own}
"$0" init -input=false -no-color
if [ ! -e .terraform/terraform.tfstate ] || grep -q '"type": "local"' .terraform/terraform.tfstate; then exit 90; fi
"$0" plan -input=false -no-color -lock-timeout=60s -out=${planFile} "$@"
"$0" show -json -no-color ${planFile} > ${planJson}
"$0" state pull > ${stateJson}`

const showScript = `${enterFolder}mkdir -p ${own}
"$0" show -json -no-color ${planFile} > ${planJson}`

const applyScript = `${enterFolder}mkdir -p ${own}
"$0" apply -input=false -no-color -lock-timeout=60s ${planFile}
"$0" state pull > ${stateJson}
"$0" output -json -no-color > ${outputJson}`

const lookScript = `${enterFolder}mkdir -p ${own}
"$0" state pull > ${stateJson}
"$0" output -json -no-color > ${outputJson}
"$0" plan -input=false -no-color -lock-timeout=5s -detailed-exitcode "$@" > /dev/null`

type Wanted = Pick<SandboxedCommand, 'workspace' | 'read' | 'keep' | 'files'> & {
  readonly title: string
  readonly script: string
  readonly words?: readonly string[]
  /** Whether it needs its backend and its providers' services. */
  readonly online: boolean
  /** Where it works, below /workspace. */
  readonly path: string
}

function run(
  context: Context,
  { script, words = [], online, path, ...wanted }: Wanted,
): Promise<SandboxedResult> {
  const set = settingsOf(context)
  return context.run({
    ...wanted,
    command: ['/bin/sh', '-c', script, set.program, ...words],
    environment: {
      ...set.environment,
      ...workingIn(path).environment,
      CHECKPOINT_DISABLE: '1',
      TF_IN_AUTOMATION: '1',
      TF_INPUT: '0',
    },
    readOnly: toolFiles(set, set.program),
    limits: toolLimits(set),
    ...(online ? reaching(set) : {}),
  })
}

const plan = defineAction({
  name: 'terraform.plan',
  title: 'Plan changes of infrastructure',
  input: planInput,
  output: planned,
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions: ['read of everything that the configuration manages', 'lock of its state'],
  secretFields: [],
  async execute(context) {
    const { destroy, targets, variables, code } = context.input
    const set = settingsOf(context)
    const path = code?.path ?? '.'
    const { at } = workingIn(path)
    const title = 'terraform plan'
    const result = await run(context, {
      title,
      script: planScript,
      words: [...(destroy ? ['-destroy'] : []), ...targets.map((target) => `-target=${target}`)],
      online: true,
      path,
      workspace: code ? { artifact: code.artifact } : { folder: set.folder },
      files: { [at('keyward.auto.tfvars.json')]: JSON.stringify({ ...set.variables, ...variables }) },
      keep: ['.'],
      read: [at(planJson), at(stateJson), at(planFile)],
    })
    assertEnded(title, result)
    if (result.exitCode !== 0) throw failed(title, result)
    const { artifact, files } = result
    const saved = files.get(at(planFile))
    if (!artifact || !saved)
      throw new AppError('connector.refused', `${title} saved no plan, or one of more than 16 MiB`)
    return {
      ...plannedChangesOf(textOf(files, at(planJson))),
      artifact,
      planSha256: sha256(saved),
      ...stateOf(textOf(files, at(stateJson))),
      path,
      sha: code?.sha ?? null,
    }
  },
})

/** What the saved plan would do, read from the plan itself, in a sandbox that reaches nothing. */
async function changesOf(context: Context & { readonly input: ApplyInput }): Promise<PlannedChanges> {
  const { artifact, planSha256, path } = context.input
  const { at } = workingIn(path)
  const title = 'terraform show'
  const result = await run(context, {
    title,
    script: showScript,
    online: false,
    path,
    workspace: { artifact },
    read: [at(planJson), at(planFile)],
  })
  assertEnded(title, result)
  if (result.exitCode !== 0) throw failed(title, result)
  const saved = result.files.get(at(planFile))
  if (!saved || sha256(saved) !== planSha256)
    throw new AppError('connector.refused', 'the saved plan is not the one that was planned; plan again')
  return plannedChangesOf(textOf(result.files, at(planJson)))
}

type Check = (changes: PlannedChanges, input: ApplyInput) => string | undefined

const withoutSurprise: Check = ({ summary: { destroy } }, { mayDestroy }) =>
  destroy > 0 && !mayDestroy
    ? `the plan destroys ${destroy} of the resources; say so with "mayDestroy": true, or plan something else`
    : undefined

const onlyDestroying: Check = ({ summary: { add, change } }) =>
  add + change > 0 ? 'the plan does more than destroy; use terraform.apply' : undefined

async function checked(
  context: Context & { readonly input: ApplyInput },
  check: Check,
): Promise<PlannedChanges> {
  const changes = await changesOf(context)
  const why = check(changes, context.input)
  if (why !== undefined) throw new AppError('connector.refused', why)
  return changes
}

function applying(name: 'terraform.apply' | 'terraform.destroy', check: Check) {
  return defineAction({
    name,
    title: name === 'terraform.apply' ? 'Apply a saved plan' : 'Destroy what a saved plan names',
    input: applyInput,
    output: applied,
    risk: name === 'terraform.apply' ? 'high' : 'critical',
    reversible: false,
    idempotent: false,
    permissions: ['change of everything that the plan names', 'lock and change of its state'],
    ...(name === 'terraform.apply' ? { cost: 'what the plan creates, by its providers from then on' } : {}),
    secretFields: [],
    preview: async (context) => {
      const { summary, changes, outputs } = await checked(context, check)
      return { summary, changes, outputs, planSha256: context.input.planSha256 }
    },
    async execute(context) {
      const { summary } = await checked(context, check)
      const { artifact, path } = context.input
      const { at } = workingIn(path)
      const title = 'terraform apply'
      const result = await run(context, {
        title,
        script: applyScript,
        online: true,
        path,
        workspace: { artifact },
        read: [at(stateJson), at(outputJson)],
      })
      assertEnded(title, result)
      if (result.exitCode !== 0) throw failed(title, result)
      return {
        summary,
        ...stateOf(textOf(result.files, at(stateJson))),
        outputs: outputsOf(textOf(result.files, at(outputJson))),
      }
    },
    // After a destroy there is everything to do, and nothing to destroy.
    reconcile: (context) => reconciled(context, name === 'terraform.destroy' ? ['-destroy'] : []),
  })
}

/** The state says what has been done: it moved on, and nothing of the configuration is left to do. */
async function reconciled(
  context: Context & { readonly input: ApplyInput },
  words: readonly string[],
): Promise<Reconciled<z.output<typeof applied>>> {
  const { artifact, serial, lineage, path } = context.input
  const { at } = workingIn(path)
  const result = await run(context, {
    title: 'terraform plan, to see what an apply has done',
    script: lookScript,
    words,
    online: true,
    path,
    workspace: { artifact },
    read: [at(stateJson), at(outputJson)],
  })
  const now = stateOf(textOf(result.files, at(stateJson)))
  const moved = (now.serial ?? 0) > (serial ?? 0) && (lineage === null || lineage === now.lineage)
  if (moved && result.exitCode === 0) {
    const { summary } = await changesOf(context)
    return {
      effect: 'done',
      output: { summary, ...now, outputs: outputsOf(textOf(result.files, at(outputJson))) },
    }
  }
  const state = `the state was ${serial ?? 'empty'} before and is ${now.serial ?? 'empty'} now`
  return { effect: 'unknown', reason: moved ? `${state}, and there is still something to do` : state }
}

function failed(title: string, result: SandboxedResult): AppError {
  const words = lastWords(result)
  const { exitCode } = result
  if (exitCode === 90)
    return new AppError(
      'connector.refused',
      'the configuration has no backend: its state would be lost with the sandbox. Give it one, for example "http" or "s3"',
    )
  if (exitCode === 127)
    return new AppError('connector.refused', `there is no such program in the sandbox: ${words}`)
  if (/saved plan is stale/i.test(words))
    return new AppError(
      'connector.refused',
      'the plan is stale: the state was changed after it was made. Nothing was applied; plan again',
    )
  if (/error acquiring the state lock/i.test(words))
    return new AppError(
      'connector.unavailable',
      'somebody else holds the lock of the state; nothing was done',
    )
  return new AppError('connector.refused', `${title} exited with ${exitCode}: ${words}`)
}

const state = z.looseObject({ serial: z.int(), lineage: z.string() })

function stateOf(text: string): { serial: number | null; lineage: string | null } {
  if (text.trim() === '') return { serial: null, lineage: null }
  const { serial, lineage } = state.parse(JSON.parse(text))
  return { serial, lineage: lineage === '' ? null : lineage }
}

const outputs = z.record(z.string(), z.looseObject({ sensitive: z.boolean(), value: z.json() }))

const outputsOf = (text: string): z.output<typeof applied>['outputs'] =>
  Object.fromEntries(
    Object.entries(outputs.parse(JSON.parse(text === '' ? '{}' : text)))
      .filter(([, { sensitive }]) => !sensitive)
      .map(([name, { value }]) => [name, value]),
  )

/** Terraform and OpenTofu: a plan that is saved, shown, and applied as it is. */
export const terraform: Connector = {
  name: 'terraform',
  title: 'Terraform, OpenTofu',
  docs: 'https://developer.hashicorp.com/terraform/cli',
  settings,
  secretFields: [],
  actions: [
    plan,
    applying('terraform.apply', withoutSurprise),
    applying('terraform.destroy', onlyDestroying),
  ],
  health: ({ settings: set }) => toolHealth(set as Settings),
}
