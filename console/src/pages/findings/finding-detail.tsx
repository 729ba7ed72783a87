import { api, type FindingPlace, type FindingView } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ArrowRight, EyeOff, FileText, GitCommitHorizontal } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { announce } from '../../ui/announcer.tsx'
import { Badge, findingLook } from '../../ui/badge.tsx'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { CopyButton, Digest } from '../../ui/copy.tsx'
import { TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { type Fact, Facts } from '../../ui/page.tsx'
import { ExactTime, Time } from '../../ui/time.tsx'
import { UndoImport } from '../../ui/undo-import.tsx'
import { importable } from './finding-group.tsx'

export function FindingDetail({ finding }: { finding: FindingView }) {
  const count = finding.places.length
  return (
    <div className="flex flex-col gap-5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <Badge look={findingLook[finding.state]} />
        <code className="break-all">{finding.masked}</code>
      </div>
      <Facts facts={factsOf(finding)} />
      <div>
        <h3 className="mb-1.5 text-xs text-muted">
          {count === 1 ? 'It stands in one place' : `It stands in ${count} places`}
        </h3>
        <ul className="divide-y divide-line rounded-lg border border-line">
          {finding.places.map((place) => (
            <Place key={`${place.file}:${place.line}:${place.column}:${place.commit}`} place={place} />
          ))}
        </ul>
      </div>
      {importable(finding) ? <Actions finding={finding} /> : null}
      {finding.state === 'imported' && finding.runId ? (
        <div className="border-t border-line pt-4">
          <UndoImport runId={finding.runId} />
          <p className="mt-2 text-[0.8125rem] text-pretty text-muted">
            Concerns every file of the same run, not this finding alone.
          </p>
        </div>
      ) : null}
    </div>
  )
}

function factsOf(finding: FindingView): Fact[] {
  const facts: Fact[] = [
    ['Provider', finding.provider],
    ['Rule', <code key="rule">{finding.rule}</code>],
    ['Confidence', finding.confidence],
    ['First seen', <ExactTime key="first" at={finding.firstSeenAt} />],
    ['Last seen', <Time key="last" at={finding.lastSeenAt} />],
    ['Fingerprint', <Digest key="fingerprint" value={finding.fingerprint} what="the fingerprint" />],
  ]
  if (finding.reference)
    facts.unshift(['Reference', <Reference key="reference" reference={finding.reference} />])
  if (finding.reason) facts.unshift(['Reason', finding.reason])
  if (finding.runId) facts.push(['Handled by', <RunLink key="run" runId={finding.runId} />])
  return facts
}

function Reference({ reference }: { reference: string }) {
  return (
    <span className="inline-flex items-start gap-1">
      <code className="break-all">{reference}</code>
      <CopyButton text={reference} label="Copy the reference" />
    </span>
  )
}

function RunLink({ runId }: { runId: string }) {
  return (
    <Link
      to="/runs/$runId"
      params={{ runId }}
      className="underline decoration-edge underline-offset-3 hover:decoration-ink"
    >
      Run {runId}
    </Link>
  )
}

function Place({ place }: { place: FindingPlace }) {
  const Icon = place.commit ? GitCommitHorizontal : FileText
  return (
    <li className="flex items-start gap-2.5 px-3 py-2">
      <Icon size={15} className="mt-0.5 shrink-0 text-muted" aria-hidden="true" />
      <div className="min-w-0">
        <p className="break-all">
          <code>
            {place.file}:{place.line}:{place.column}
          </code>
        </p>
        {place.commit ? (
          <p className="text-xs text-muted">
            In the git history: commit <code>{place.commit.slice(0, 10)}</code>
            {place.author ? ` by ${place.author}` : ''}
          </p>
        ) : null}
      </div>
    </li>
  )
}

function Actions({ finding }: { finding: FindingView }) {
  const [ignoring, setIgnoring] = useState(false)
  return (
    <div className="border-t border-line pt-4">
      {ignoring ? (
        <IgnoreForm finding={finding} onCancel={() => setIgnoring(false)} />
      ) : (
        <div className="flex flex-wrap gap-2">
          <Link to="/findings/import" search={{ pick: [finding.id] }} className={buttonStyle('solid')}>
            Review import
            <ArrowRight size={15} aria-hidden="true" />
          </Link>
          <Button icon={EyeOff} onClick={() => setIgnoring(true)}>
            Ignore…
          </Button>
        </div>
      )}
    </div>
  )
}

const shortestReason = 3

function IgnoreForm({ finding, onCancel }: { finding: FindingView; onCancel: () => void }) {
  const client = useQueryClient()
  const [reason, setReason] = useState('')
  const [told, setTold] = useState(false)
  const ignore = useMutation({
    mutationFn: () => call(api.findings.ignore, { findingIds: [finding.id], reason }),
    onSuccess: () => {
      announce(`${finding.title} is ignored`)
      return client.invalidateQueries({ queryKey: ['findings'] })
    },
  })
  const short = reason.trim().length < shortestReason
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (!short) ignore.mutate()
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <TextArea
        label="Why may it stay?"
        hint="Kept in the audit log with your name."
        value={reason}
        maxLength={500}
        autoFocus
        onChange={({ target }) => setReason(target.value)}
        error={told && short ? 'Say it in three characters or more.' : undefined}
      />
      {ignore.error ? <Failure error={ignore.error} /> : null}
      <div className="flex gap-2">
        <Button type="submit" busy={ignore.isPending}>
          Ignore this finding
        </Button>
        <Button tone="quiet" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  )
}
