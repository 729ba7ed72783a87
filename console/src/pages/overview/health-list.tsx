import type { SystemStatus } from '@keyward/contract'
import { CircleCheck, CircleX, type LucideIcon, TriangleAlert } from 'lucide-react'
import { Sheet } from '../../ui/page.tsx'

type Health = SystemStatus['proxy']['health']
type Part = { name: string; health: Health; word: string; notes: readonly string[] }

const signs: Record<Health, { icon: LucideIcon; style: string }> = {
  ok: { icon: CircleCheck, style: 'text-ok' },
  degraded: { icon: TriangleAlert, style: 'text-wait' },
  failing: { icon: CircleX, style: 'text-bad' },
}
const healthWord: Record<Health, string> = { ok: 'Working', degraded: 'Degraded', failing: 'Failing' }

function partsOf({ vault, audit, sandbox, proxy, store }: SystemStatus): Part[] {
  const open = vault.initialised && !vault.sealed
  const sealText = sealTexts[vault.seal]
  const levels = {
    full: ['ok', 'Full isolation'],
    'no-cgroup': ['degraded', 'Isolated, without cgroups'],
    none: ['failing', 'Not available'],
  } as const
  const [sandboxHealth, sandboxWord] = levels[sandbox.level]
  return [
    {
      name: 'Vault',
      health: open ? 'ok' : 'failing',
      word: open ? 'Unsealed' : vault.initialised ? 'Sealed' : 'Not initialised',
      notes: [sealText],
    },
    {
      name: 'Audit log',
      health: audit.health,
      word: healthWord[audit.health],
      notes: [`${audit.seq.toLocaleString()} entries in the chain`],
    },
    {
      name: 'Sandbox',
      health: sandboxHealth,
      word: sandboxWord,
      notes: [...(sandbox.driver ? [`By ${sandbox.driver}`] : []), ...sandbox.reasons],
    },
    { name: 'Egress proxy', health: proxy.health, word: healthWord[proxy.health], notes: [] },
    {
      name: 'Store',
      health: store.health,
      word: healthWord[store.health],
      notes: [store.dialect === 'sqlite' ? 'SQLite, embedded' : 'PostgreSQL'],
    },
  ]
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

const sealTexts: Record<SystemStatus['vault']['seal'], string> = {
  keyfile: 'Unseals itself with the key file',
  transit: 'Unseals itself with another vault',
  awskms: 'Unseals itself with AWS KMS',
  shamir: 'Unsealed with key shares',
}
