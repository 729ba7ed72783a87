export { type ByteQueue, createByteQueue } from './byte-queue.ts'
export { canonicalJson, digestOf, sortedKeys } from './canonical.ts'
export { type Clock, systemClock } from './clock.ts'
export { egressVariables } from './egress-variables.ts'
export { AppError, reasonOf } from './errors.ts'
export { type FileTree, isPortable, type TreeEntry, type TreeTaker } from './file-tree.ts'
export { createGathering } from './gathering.ts'
export { createIds, newId, newUuid } from './ids.ts'
export { inOrder, type Step } from './in-order.ts'
export { parseListen } from './listen.ts'
export { createLog, type Log, silentLog } from './log.ts'
export { postgresVariables, redisVariables } from './login-variables.ts'
export { createLooking } from './looking.ts'
export { holdYoungGeneration, releaseMemory, releaseWhenIdle, thisProcess } from './memory.ts'
export {
  type Algorithm,
  algorithms,
  type CodeKey,
  codeAt,
  fromBase32,
  stepOf,
  stepOfCode,
  toBase32,
} from './one-time-code.ts'
export { formedLengths, formedPlaceholder, isPlaceholder } from './placeholder.ts'
export { actorOf, type Principal, type Role, systemPrincipal } from './principal.ts'
export { qrImage } from './qr-image.ts'
export { formatReference, parseReference, referencePattern } from './reference.ts'
export { repeat } from './repeat.ts'
export { higherRisk } from './risk.ts'
export { Secret } from './secret.ts'
export { callService, type ServiceAnswer, type ServiceCall } from './service-call.ts'
export { type TarEntry, tarEntries } from './tar.ts'
export {
  attemptSpanId,
  formatTraceparent,
  parseTraceparent,
  type SpanContext,
  spanIdOf,
  traceIdOf,
  traceparentOf,
} from './trace-context.ts'
