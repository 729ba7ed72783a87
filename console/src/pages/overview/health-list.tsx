import type { SystemStatus } from '@keyward/contract'
import { CircleCheck, CircleX, type LucideIcon, TriangleAlert } from 'lucide-react'
import { Sheet } from '../../ui/page.tsx'
import { type Health, partsOf } from './health-parts.ts'

const signs: Record<Health, { icon: LucideIcon; style: string }> = {
  ok: { icon: CircleCheck, style: 'text-ok' },
  degraded: { icon: TriangleAlert, style: 'text-wait' },
  failing: { icon: CircleX, style: 'text-bad' },
}
export function HealthList({ status }: { status: SystemStatus }) {
  return (
    <Sheet>
      <ul className="divide-y divide-line">
        {partsOf(status).map(({ name, health, word, notes }) => {
          const { icon: Icon, style } = signs[health]
          return (
            <li key={name} className="px-4 py-3">
              <div className="flex items-center justify-between gap-3">
                <span className="font-medium">{name}</span>
                <span className={`inline-flex items-center gap-1.5 text-[0.8125rem] font-medium ${style}`}>
                  <Icon size={15} aria-hidden="true" />
                  {word}
                </span>
              </div>
              {notes.map((note) => (
                <p key={note} className="mt-0.5 text-[0.8125rem] break-words text-muted">
                  {note}
                </p>
              ))}
            </li>
          )
        })}
      </ul>
    </Sheet>
  )
}
