import type { Clock } from '../../core/index.ts'
import type { Store } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { EngineMaker } from '../mounts.ts'
import { createPki } from './pki/pki.ts'
import { createSsh } from './ssh/ssh.ts'
import { createTotp } from './totp/totp.ts'

type Needs = { barrier: Barrier; store: Pick<Store, 'write'>; clock: Pick<Clock, 'now'> }

/** Engines that make what others verify without asking the vault: certificates and codes. */
export function createCertificateEngines(needs: Needs): Readonly<Record<string, EngineMaker>> {
  return {
    pki: createPki(needs),
    ssh: createSsh(needs.barrier),
    totp: ({ id }) => createTotp(needs.barrier, id),
  }
}
