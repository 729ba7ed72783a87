import { DefaultFailureConverter } from '@temporalio/common'

/** Messages and stacks of failures go through the codec too. Temporal's client, worker and bundle load this file by its path. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true })
