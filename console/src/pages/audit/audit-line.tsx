import type { AuditEntry } from '@keyward/contract'
import { Link } from '@tanstack/react-router'
import { Ban, CircleCheck, CircleDashed, CircleX } from 'lucide-react'
import { Actor } from '../../ui/actor.tsx'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Time } from '../../ui/time.tsx'

export const outcomeLook: Record<AuditEntry['outcome'], Look> = {
  intent: { hue: 'calm', icon: CircleDashed, text: 'Intent' },
  done: { hue: 'ok', icon: CircleCheck, text: 'Done' },
  denied: { hue: 'bad', icon: Ban, text: 'Denied' },
  failed: { hue: 'bad', icon: CircleX, text: 'Failed' },
}

/** `secret.revealed` → `Secret revealed`. */
export function eventText(type: string): string {
  const words = type.replace('.', ' ').replaceAll('_', ' ')
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`
}

/** One entry in a short list: what, by whom, on what, when. */
export function AuditLine({ entry }: { entry: AuditEntry }) {
  return (
    <Link
      to="/audit"
      search={{ entry: String(entry.seq) }}
      className="grid grid-cols-[minmax(0,1fr)_auto] items-baseline gap-x-4 px-4 py-2.5 -outline-offset-2 hover:bg-hover"
    >
      <span className="min-w-0 truncate">
        <span className="font-medium">{eventText(entry.type)}</span>{' '}
        <span className="text-muted">
          by <Actor id={entry.actor} /> on {entry.target}
        </span>
      </span>
      <span className="flex items-baseline gap-3 text-xs text-muted">
        {entry.outcome === 'done' ? null : <Badge look={outcomeLook[entry.outcome]} bare />}
        <Time at={entry.at} />
      </span>
    </Link>
  )
}
