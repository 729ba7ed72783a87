import { CircleAlert, type LucideIcon, RotateCw } from 'lucide-react'
import type { ReactNode } from 'react'
import { problemOf } from '../api/index.ts'
import { Button } from './button.tsx'

/** Nothing here yet: says why, and what to do about it. */
export function Empty({
  icon: Icon,
  title,
  children,
}: {
  icon: LucideIcon
  title: string
  children: ReactNode
}) {
  return (
    <div className="flex flex-col items-center rounded-xl border border-dashed border-edge/50 px-6 py-14 text-center">
      <span className="mb-4 rounded-full bg-brass-wash p-3 text-brass">
        <Icon size={22} aria-hidden="true" />
      </span>
      <h2 className="text-base font-semibold">{title}</h2>
      <div className="mt-1.5 flex max-w-[34rem] flex-col items-center gap-4 text-pretty text-muted">
        {children}
      </div>
    </div>
  )
}

/** A reading that failed, in the server's words, with a way to try again. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = problemOf(error)
  return (
    <div
      role="alert"
      className="flex items-start gap-3 rounded-xl border border-bad/40 bg-bad-wash px-4 py-3.5"
    >
      <CircleAlert size={18} className="mt-0.5 shrink-0 text-bad" aria-hidden="true" />
      <div className="min-w-0 flex-1">
        <p className="font-semibold text-bad">{problem.title}</p>
        {problem.detail === '' ? null : <p className="mt-0.5 break-words text-ink">{problem.detail}</p>}
        <p className="mt-1 text-xs text-ink/80">
          Code <code>{problem.code}</code>
        </p>
      </div>
      {retry ? (
        <Button size="small" icon={RotateCw} onClick={retry}>
          Try again
        </Button>
      ) : null}
    </div>
  )
}

const lineWidths = ['w-3/4', 'w-1/2', 'w-2/3', 'w-5/6', 'w-2/5']

/** The shape of rows to come. */
export function Skeleton({ rows = 5, label = 'Loading' }: { rows?: number; label?: string }) {
  return (
    <div
      role="status"
      aria-label={label}
      className="divide-y divide-line rounded-xl border border-line bg-surface"
    >
      {Array.from({ length: rows }, (_, row) => (
        <div key={`row-${String(row)}`} className="flex items-center gap-4 px-4 py-4">
          <span className="skeleton size-4" />
          <span className="flex-1">
            <span className={`skeleton block h-3 ${lineWidths[row % lineWidths.length] ?? ''}`} />
          </span>
          <span className="skeleton h-3 w-20" />
        </div>
      ))}
    </div>
  )
}
