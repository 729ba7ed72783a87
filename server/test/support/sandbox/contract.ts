// The suite that every sandbox driver passes: SAND-1 and SAND-2 on real sandboxes of this machine.

import type { Subject } from './attacker.ts'
import { commandContract } from './command.ts'
import { hostContract } from './host.ts'
import { kernelContract } from './kernel.ts'
import { limitsContract } from './limits.ts'
import { networkContract } from './network.ts'
import { pairContract } from './pair.ts'
import { workspaceContract } from './workspace.ts'

export function sandboxDriverContract(subject: Subject): void {
  commandContract(subject)
  workspaceContract(subject)
  hostContract(subject)
  networkContract(subject)
  limitsContract(subject)
  kernelContract(subject)
  pairContract(subject)
}
