import { z } from 'zod'

// What the CLI writes as JSON, as far as it is used: `pulumi preview --json`, an update plan, `pulumi stack history --json`.
// Values of properties are not taken: names are enough to know what is meant, and a value may be secret.

export const pulumiStep = z.object({
  /** `create`, `update`, `replace`, `delete` and the like, as Pulumi names them. */
  op: z.string(),
  urn: z.string(),
  /** Names of what makes it different. */
  properties: z.array(z.string()),
})
export type PulumiStep = z.output<typeof pulumiStep>

export const changeSummary = z.record(z.string(), z.int())

const digest = z.looseObject({
  steps: z
    .array(
      z.looseObject({
        op: z.string(),
        urn: z.string(),
        diffReasons: z.array(z.string()).nullish(),
        replaceReasons: z.array(z.string()).nullish(),
      }),
    )
    .nullish(),
  changeSummary: changeSummary.nullish(),
})

const mostShown = 500

export function previewOf(json: string): { summary: Record<string, number>; steps: PulumiStep[] } {
  const { steps, changeSummary: summary } = digest.parse(JSON.parse(json))
  const changing = (steps ?? []).filter(({ op }) => op !== 'same')
  return {
    summary: summary ?? {},
    steps: changing.slice(0, mostShown).map(({ op, urn, diffReasons, replaceReasons }) => ({
      op,
      urn,
      properties: [...new Set([...(diffReasons ?? []), ...(replaceReasons ?? [])])].sort(),
    })),
  }
}

const updatePlan = z.looseObject({
  resourcePlans: z.record(z.string(), z.looseObject({ steps: z.array(z.string()).nullish() })),
})

/** What an update that is held to this plan may do, by what it does and to what. */
export function plannedStepsOf(json: string): { op: string; urn: string }[] {
  const { resourcePlans } = updatePlan.parse(JSON.parse(json))
  return Object.entries(resourcePlans)
    .flatMap(([urn, { steps }]) => (steps ?? []).map((op) => ({ op, urn })))
    .filter(({ op }) => op !== 'same')
    .sort((a, b) => (a.urn < b.urn ? -1 : 1))
}

const history = z.array(z.looseObject({ version: z.int().nullish(), kind: z.string(), result: z.string() }))
export type LastUpdate = { version: number; kind: string; result: string }

/** Undefined for a stack that was never updated. */
export function lastUpdateOf(json: string): LastUpdate | undefined {
  const [last] = history.parse(JSON.parse(json.trim() === '' ? '[]' : json))
  return last && { version: last.version ?? 0, kind: last.kind, result: last.result }
}
