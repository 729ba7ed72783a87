import type { FindingView } from '@keyward/contract'
import { Link } from '@tanstack/react-router'
import { ArrowRight, FileText, GitCommitHorizontal } from 'lucide-react'
import { Badge, findingLook } from '../../ui/badge.tsx'
import { buttonStyle } from '../../ui/button.tsx'
import { Sheet } from '../../ui/page.tsx'

/** Only these can go into the vault now. */
export const importable = ({ state }: Pick<FindingView, 'state'>): boolean =>
  state === 'open' || state === 'restored'

/** Nobody has to look at these any more, once somebody says so. */
export const ignorable = ({ state }: Pick<FindingView, 'state'>): boolean =>
  state === 'open' || state === 'restored' || state === 'fixed'

type Props = {
  project: string
  findings: FindingView[]
  picked: string[]
  onPick: (ids: string[]) => void
  selected: string | undefined
  onSelect: (id: string) => void
}

export function FindingGroup({ project, findings, picked, onPick, selected, onSelect }: Props) {
  const ready = findings.filter(importable).map(({ id }) => id)
  const own = ready.filter((id) => picked.includes(id))
  const toImport = own.length > 0 ? own : ready
  const toggle = (id: string): void =>
    onPick(picked.includes(id) ? picked.filter((other) => other !== id) : [...picked, id])
  return (
    <section aria-label={`Findings in ${project}`} className="mb-7">
      <div className="mb-2 flex flex-wrap items-center justify-between gap-3">
        <h2 className="min-w-0 font-semibold break-all">
          {project} <span className="font-normal text-muted">· {findings.length}</span>
        </h2>
        {ready.length > 0 ? (
          <Link to="/findings/import" search={{ pick: toImport }} className={buttonStyle('solid')}>
            {own.length > 0 ? `Review import of ${own.length} chosen` : `Review import of ${ready.length}`}
            <ArrowRight size={15} aria-hidden="true" />
          </Link>
        ) : null}
      </div>
      <Sheet>
        <ul className="divide-y divide-line">
          {findings.map((finding) => (
            <FindingRow
              key={finding.id}
              finding={finding}
              picked={picked.includes(finding.id)}
              onToggle={() => toggle(finding.id)}
              selected={finding.id === selected}
              onSelect={() => onSelect(finding.id)}
            />
          ))}
        </ul>
      </Sheet>
    </section>
  )
}

type RowProps = {
  finding: FindingView
  picked: boolean
  onToggle: () => void
  selected: boolean
  onSelect: () => void
}

function FindingRow({ finding, picked, onToggle, selected, onSelect }: RowProps) {
  const tint = selected ? 'bg-brass-wash' : 'hover:bg-hover'
  return (
    <li
      aria-current={selected || undefined}
      className={`relative flex flex-wrap items-start gap-x-3 gap-y-1.5 px-4 py-3 first:rounded-t-xl last:rounded-b-xl ${tint}`}
    >
      <span className="relative z-10 flex size-6 shrink-0 items-center justify-center">
        {ignorable(finding) || finding.state === 'ignored' ? (
          <input
            type="checkbox"
            checked={picked}
            onChange={onToggle}
            aria-label={`Choose ${finding.title}`}
            className="size-4 accent-(--solid)"
          />
        ) : null}
      </span>
      <div className="min-w-0 basis-[calc(100%-2.5rem)] sm:flex-1 sm:basis-0">
        <div className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5">
          <button
            type="button"
            onClick={onSelect}
            className="text-left font-medium after:absolute after:inset-0 after:content-['']"
          >
            {finding.title}
          </button>
          <code className="break-all text-muted">{finding.masked}</code>
        </div>
        <Places finding={finding} />
      </div>
      <div className="flex shrink-0 items-center gap-2 pl-9 sm:flex-col sm:items-end sm:gap-1 sm:pl-0">
        <Badge look={findingLook[finding.state]} />
        <span className="text-xs text-muted">{finding.confidence} confidence</span>
      </div>
    </li>
  )
}

const shownPlaces = 2

function Places({ finding }: { finding: FindingView }) {
  const rest = finding.placeCount - shownPlaces
  return (
    <ul className="mt-1 flex flex-wrap gap-x-4 gap-y-0.5 text-[0.8125rem] text-muted">
      {finding.places.slice(0, shownPlaces).map(({ file, line, column, commit, goneAt }) => {
        const Icon = commit ? GitCommitHorizontal : FileText
        return (
          <li
            key={`${file}:${line}:${column}:${commit}`}
            className={`${goneAt ? 'line-through' : ''} inline-flex min-w-0 items-center gap-1.5`}
          >
            <Icon size={13} className="shrink-0" aria-hidden="true" />
            <span className="break-all">
              {file}:{line}
              {commit ? ` in commit ${commit.slice(0, 7)}` : ''}
            </span>
          </li>
        )
      })}
      {rest > 0 ? <li>and {rest} more</li> : null}
    </ul>
  )
}
