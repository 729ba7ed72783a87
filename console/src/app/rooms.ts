import { agentRooms } from '../pages/agents/rooms.ts'
import { approvalRooms } from '../pages/approvals/rooms.ts'
import { findingRooms } from '../pages/findings/rooms.ts'
import { integrationRooms } from '../pages/integrations/rooms.ts'
import { peopleRooms } from '../pages/people/rooms.ts'
import { runRooms } from '../pages/runs/rooms.ts'
import { vaultRooms } from '../pages/vault/rooms.ts'

/** Every page of a place that has several, but the first, which is the place itself. */
export const rooms = [
  ...findingRooms.slice(1),
  ...vaultRooms.slice(1),
  ...runRooms.slice(1),
  ...approvalRooms.slice(1),
  ...agentRooms.slice(1),
  ...integrationRooms.slice(1),
  ...peopleRooms.slice(1),
]
