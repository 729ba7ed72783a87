import type { PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs'

/** A value of Cedar that a request may carry. */
export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value }

export type EntityRef = { readonly type: string; readonly id: string }

export type Entity = EntityRef & {
  readonly attributes: Readonly<Record<string, Value>>
  readonly parents: readonly EntityRef[]
}

/** A request that fits the schema. */
export type EngineRequest = {
  readonly principal: Entity
  readonly action: string
  readonly resource: Entity
  readonly context: Readonly<Record<string, Value>>
  /** `context.now` of the policies. */
  readonly now: Date
}

export type Verdict = {
  readonly allow: boolean
  /** Ids of the policies that decided, sorted; empty when nothing allowed it. */
  readonly policies: readonly string[]
  /** Ids of the policies that could not be evaluated. */
  readonly failed: readonly string[]
}

/** Evaluates a set of policies by Cedar's rules: one forbid outweighs every permit, and nothing is allowed by default. */
export type Engine = { authorize(request: EngineRequest): Verdict }

/** Policies in Cedar's own JSON format, by id; what parsing and validation yield. */
export type PolicyMap = Readonly<Record<string, PolicyJson>>

export type CompiledSchema = SchemaJson<string>
