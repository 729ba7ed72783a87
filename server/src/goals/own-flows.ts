import type { Flow } from '../catalogue/index.ts'
import type { Action } from '../workflow/index.ts'
import { deployActions } from './deploy-actions.ts'
import { deployFeatureFlow } from './deploy-feature.ts'
import { diagnoseActions, diagnoseFlow } from './diagnose.ts'
import { readFileAction, readFileFlow } from './read-file.ts'
import { rotateActions, rotateFlow } from './rotate.ts'

type FlowNeeds = Parameters<typeof rotateFlow>[0] &
  Parameters<typeof diagnoseFlow>[0] &
  Parameters<typeof deployFeatureFlow>[0] &
  Parameters<typeof readFileFlow>[0]

/** Flows in code that come with Keyward, beside `leaked-key`. */
export const ownFlows = (needs: FlowNeeds): Flow[] => [
  rotateFlow(needs),
  diagnoseFlow(needs),
  deployFeatureFlow(needs),
  readFileFlow(needs),
]

type ActionNeeds = Parameters<typeof rotateActions>[0] &
  Parameters<typeof diagnoseActions>[0] &
  Parameters<typeof deployActions>[0] &
  Parameters<typeof readFileAction>[0]

export const ownActions = (needs: ActionNeeds): Action[] => [
  ...rotateActions(needs),
  ...diagnoseActions(needs),
  ...deployActions(needs),
  readFileAction(needs),
]
