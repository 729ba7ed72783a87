import { api, type FindingView } from '@keyward/contract'
import { Link } from '@tanstack/react-router'
import { ArrowRight, EyeOff, KeyRound, RotateCcw } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Badge, findingLook } from '../../ui/badge.tsx'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { CopyButton, Digest } from '../../ui/copy.tsx'
import { Failure } from '../../ui/notice.tsx'
import { type Fact, Facts } from '../../ui/page.tsx'
import { ExactTime, Time } from '../../ui/time.tsx'
import { UndoImport } from '../../ui/undo-import.tsx'
import { ignorable, importable } from './finding-group.tsx'
import { FindingPlaces } from './finding-places.tsx'
import { FindingStory } from './finding-story.tsx'
import { IgnoreForm } from './ignore-form.tsx'
import { RotateDialog } from './rotate-dialog.tsx'
import { useTriage } from './use-triage.ts'

export function FindingDetail({ finding }: { finding: FindingView }) {
  return (
    <div className="flex flex-col gap-5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <Badge look={findingLook[finding.state]} />
        <code className="break-all">{finding.masked}</code>
      </div>
      <Actions finding={finding} />
      <Facts facts={factsOf(finding)} />
      <FindingPlaces finding={finding} />
      <FindingStory finding={finding} />
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
  const { reasons, entropy, confidence } = finding
  const facts: Fact[] = [
    ['Confidence', <Confidence key="confidence" confidence={confidence} reasons={reasons} />],
    ['Provider', finding.provider],
    ['Rule', <code key="rule">{finding.rule}</code>],
    ['First seen', <ExactTime key="first" at={finding.firstSeenAt} />],
    ['Last seen', <Time key="last" at={finding.lastSeenAt} />],
    ['Fingerprint', <Digest key="fingerprint" value={finding.fingerprint} what="the fingerprint" />],
  ]
  if (entropy !== null) facts.splice(3, 0, ['Entropy', `${entropy.toFixed(1)} bits a character`])
  if (finding.reference)
    facts.unshift(['Reference', <Reference key="reference" reference={finding.reference} />])
  if (finding.ignoredUntil)
    facts.unshift(['Ignored until', <ExactTime key="until" at={finding.ignoredUntil} />])
  if (finding.reason) facts.unshift(['Reason', finding.reason])
  if (finding.runId) facts.push(['Handled by', <RunLink key="run" runId={finding.runId} />])
  return facts
}

function Confidence({ confidence, reasons }: Pick<FindingView, 'confidence' | 'reasons'>) {
  return (
    <>
      {confidence}
      {reasons.length > 0 ? (
        <ul className="mt-0.5 list-disc pl-4 text-[0.8125rem] text-muted">
          {reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      ) : null}
    </>
  )
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

function Actions({ finding }: { finding: FindingView }) {
  const [doing, setDoing] = useState<'ignore' | 'rotate'>()
  const reopen = useTriage({
    work: () => call(api.findings.reopen, { findingIds: [finding.id] }),
    done: `${finding.title} is open again`,
  })
  const done = (): void => setDoing(undefined)
  if (doing === 'ignore') {
    return (
      <IgnoreForm
        findingIds={[finding.id]}
        done={`${finding.title} is ignored`}
        action="Ignore this finding"
        onCancel={done}
        onDone={done}
      />
    )
  }
  return (
    <div className="flex flex-wrap gap-2">
      {importable(finding) ? (
        <Link to="/findings/import" search={{ pick: [finding.id] }} className={buttonStyle('solid')}>
          Review import
          <ArrowRight size={15} aria-hidden="true" />
        </Link>
      ) : null}
      <Button icon={KeyRound} onClick={() => setDoing('rotate')}>
        Rotate…
      </Button>
      {ignorable(finding) ? (
        <Button icon={EyeOff} onClick={() => setDoing('ignore')}>
          Ignore…
        </Button>
      ) : null}
      {finding.state === 'ignored' ? (
        <Button icon={RotateCcw} busy={reopen.isPending} onClick={() => reopen.mutate()}>
          Open again
        </Button>
      ) : null}
      {reopen.error ? <Failure error={reopen.error} /> : null}
      <RotateDialog open={doing === 'rotate'} finding={finding} onClose={done} />
    </div>
  )
}
