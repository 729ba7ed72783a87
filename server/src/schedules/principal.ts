import { systemPrincipal } from '../core/index.ts'

/** Keyward itself, where a schedule makes it act. */
export const schedulePrincipal = systemPrincipal('schedule')
