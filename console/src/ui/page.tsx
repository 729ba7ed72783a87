import { type ReactNode, useEffect } from 'react'

type HeaderProps = { title: string; lead?: ReactNode; actions?: ReactNode; children?: ReactNode }

/** The head of a page. Its heading takes the focus after a change of route (see app/shell.tsx). */
export function PageHeader({ title, lead, actions, children }: HeaderProps) {
  useEffect(() => {
    document.title = `${title} · Keyward`
  }, [title])
  return (
    <header className="mb-6">
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <h1
            tabIndex={-1}
            className="text-[1.625rem] leading-tight font-semibold tracking-[-0.022em] text-balance"
          >
            {title}
          </h1>
          {lead ? <p className="mt-1.5 max-w-[46rem] text-pretty text-muted">{lead}</p> : null}
        </div>
        {actions ? <div className="flex flex-wrap items-center gap-2">{actions}</div> : null}
      </div>
      {children}
    </header>
  )
}

export function Section({
  title,
  aside,
  children,
}: {
  title: string
  aside?: ReactNode
  children: ReactNode
}) {
  return (
    <section className="[section+&]:mt-8">
      <div className="mb-2.5 flex items-baseline justify-between gap-4">
        <h2 className="text-[0.9375rem] font-semibold tracking-[-0.01em]">{title}</h2>
        {aside ? <div className="text-[0.8125rem] text-muted">{aside}</div> : null}
      </div>
      {children}
    </section>
  )
}

/** A sheet of paper on the canvas. */
export function Sheet({ children, className = '' }: { children: ReactNode; className?: string }) {
  return <div className={`rounded-xl border border-line bg-surface ${className}`}>{children}</div>
}

export type Fact = readonly [name: string, value: ReactNode]

export function Facts({ facts, columns = 1 }: { facts: readonly Fact[]; columns?: 1 | 2 }) {
  const grid = columns === 2 ? 'sm:grid-cols-2' : ''
  return (
    <dl className={`grid gap-x-8 gap-y-3 ${grid}`}>
      {facts.map(([name, value]) => (
        <div key={name} className="min-w-0">
          <dt className="text-xs text-muted">{name}</dt>
          <dd className="mt-0.5 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  )
}
