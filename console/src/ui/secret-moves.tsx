import type { ImportPreview } from '@keyward/contract'
import { ArrowRight, KeyRound } from 'lucide-react'
import { Sheet } from './page.tsx'

export type SecretMove = Pick<ImportPreview['secrets'][number], 'title' | 'masked' | 'reference'>

/** Which value goes to which place of the vault; the value is masked. */
export function SecretMoves({ moves }: { moves: readonly SecretMove[] }) {
  return (
    <Sheet>
      <ul className="divide-y divide-line">
        {moves.map(({ title, masked, reference }) => (
          <li
            key={reference}
            className="grid items-center gap-x-4 gap-y-1 px-4 py-3 md:grid-cols-[minmax(0,5fr)_minmax(0,7fr)]"
          >
            <span className="flex min-w-0 items-center gap-3">
              <KeyRound size={16} className="shrink-0 text-brass" aria-hidden="true" />
              <span className="min-w-0">
                <span className="block font-medium">{title}</span>
                <code className="break-all text-muted">{masked}</code>
              </span>
            </span>
            <span className="flex min-w-0 items-center gap-2">
              <ArrowRight size={14} className="shrink-0 text-muted" aria-hidden="true" />
              <code className="wrap-anywhere">{reference}</code>
            </span>
          </li>
        ))}
      </ul>
    </Sheet>
  )
}
