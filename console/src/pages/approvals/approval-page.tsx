import type { ApprovalView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { CircleCheck, OctagonAlert, RotateCcw } from 'lucide-react'
import { approvalQuery } from '../../api/queries.ts'
import { Actor } from '../../ui/actor.tsx'
import { approvalLook, Badge, type Look, riskLook } from '../../ui/badge.tsx'
import { buttonStyle } from '../../ui/button.tsx'
import { Digest } from '../../ui/copy.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { Facts, PageHeader, Section, Sheet } from '../../ui/page.tsx'
import { Countdown, ExactTime, Time } from '../../ui/time.tsx'
import { AnswerBar } from './answer-bar.tsx'
import { AnswerForm } from './answer-form.tsx'
import { ApprovalTerms } from './approval-terms.tsx'
import { PreviewView } from './preview-view.tsx'

const route = getRouteApi('/approvals/$approvalId')

export function ApprovalPage() {
  const { approvalId } = route.useParams()
  const { data: approval, error, refetch } = useQuery(approvalQuery(approvalId))
  if (approval) return <Loaded approval={approval} />
  return (
    <>
      <PageHeader title="Approval" />
      {error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : (
        <Skeleton label="Loading the approval" />
      )}
    </>
  )
}

function Loaded({ approval }: { approval: ApprovalView }) {
  return (
    <>
      <PageHeader title={approval.title}>
        <div className="mt-3 flex flex-wrap items-center gap-2">
          <Badge look={approvalLook[approval.state]} />
          <Badge look={riskLook[approval.risk]} />
          <Badge look={approval.reversible ? reversible : final} />
        </div>
      </PageHeader>
      <div className="grid gap-x-8 gap-y-6 xl:grid-cols-[minmax(0,1fr)_21rem]">
        <div className="min-w-0">
          <What approval={approval} />
        </div>
        <div className="min-w-0 xl:sticky xl:top-20 xl:self-start">
          {approval.state === 'pending' ? (
            <AnswerBar approval={approval}>
              <AnswerForm key={approval.digest} approval={approval} />
            </AnswerBar>
          ) : (
            <Answered approval={approval} />
          )}
          <ApprovalTerms approval={approval} />
          <Sheet className="mt-5 p-5">
            <Facts facts={factsOf(approval)} />
          </Sheet>
        </div>
      </div>
    </>
  )
}

const reversible: Look = { hue: 'ok', icon: RotateCcw, text: 'Can be undone' }
const final: Look = { hue: 'bad', icon: OctagonAlert, text: 'Cannot be undone' }

const views = [
  [undefined, 'What would happen'],
  ['hashed', 'What is hashed'],
] as const

/** The same content twice: for reading, and as the very data that the digest is computed from. */
function What({ approval }: { approval: ApprovalView }) {
  const { view } = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <>
      <fieldset className="mb-5 inline-flex gap-0.5 rounded-lg bg-sunken p-0.5">
        <legend className="sr-only">Show</legend>
        {views.map(([name, text]) => (
          <button
            key={text}
            type="button"
            aria-pressed={view === name}
            onClick={() => void navigate({ search: { view: name }, replace: true, resetScroll: false })}
            className="h-8 rounded-md px-3.5 text-[0.8125rem] text-muted hover:text-ink aria-pressed:bg-surface aria-pressed:font-medium aria-pressed:text-ink aria-pressed:shadow-[0_0_0_1px_var(--line)]"
          >
            {text}
          </button>
        ))}
      </fieldset>
      {view === 'hashed' ? <Hashed approval={approval} /> : <PreviewView preview={approval.preview} />}
    </>
  )
}

function Hashed({ approval }: { approval: ApprovalView }) {
  return (
    <Section title="The preview, as data">
      <p className="mb-3 max-w-[44rem] text-pretty text-muted">
        The digest is the SHA-256 of the text below: the action, its arguments, the digest of the plan and the
        preview. Right before the task runs, all four are read again and hashed again; a difference voids the
        approval.
      </p>
      <JsonView value={approval.preview} label="The preview that is hashed" />
      <details className="mt-3">
        <summary className="text-[0.8125rem] text-muted hover:text-ink">
          The very bytes that are hashed
        </summary>
        <pre className="mt-1.5 overflow-x-auto rounded-lg bg-sunken px-3 py-2 text-xs whitespace-pre-wrap">
          <code className="break-all">{approval.subject}</code>
        </pre>
      </details>
      <div className="mt-4 flex flex-col gap-2">
        <p className="break-all">
          <span className="text-muted">Digest</span> <code>{approval.digest}</code>
        </p>
        <p className="break-all">
          <span className="text-muted">Plan</span> <code>{approval.planDigest}</code>
        </p>
      </div>
    </Section>
  )
}

function factsOf(approval: ApprovalView) {
  return [
    ['Target', approval.target],
    ...(approval.blastRadius ? ([['What it reaches', approval.blastRadius]] as const) : []),
    ...(approval.rollback ? ([['Taken back by', approval.rollback]] as const) : []),
    ['Action', <code key="action">{approval.action}</code>],
    [
      'Asked by',
      <span key="by">
        <Actor id={approval.requestedBy} />, <Time at={approval.requestedAt} />
      </span>,
    ],
    [
      'Part of',
      <Link
        key="run"
        to="/runs/$runId"
        params={{ runId: approval.runId }}
        search={{ task: approval.taskId }}
        className="break-all underline decoration-edge underline-offset-3 hover:decoration-ink"
      >
        Run {approval.runId}
      </Link>,
    ],
    [
      approval.state === 'pending' ? 'Expires in' : 'Expiry',
      approval.state === 'pending' ? (
        <Countdown key="expiry" until={approval.expiresAt} />
      ) : (
        <ExactTime key="expiry" at={approval.expiresAt} />
      ),
    ],
    ['Digest', <Digest key="digest" value={approval.digest} what="the digest" />],
  ] as const
}

const modes = {
  person: 'A person answered.',
  self: 'The only account answered its own request; that is recorded.',
  carried: 'The same had been approved for a run that ended before it used that.',
  grant: 'A person had allowed its like for a time.',
  unattended: 'Nobody was asked: the run was started unattended, and that is recorded.',
} as const

function Answered({ approval }: { approval: ApprovalView }) {
  return (
    <Sheet className="p-5">
      <div className="flex items-center gap-2">
        <CircleCheck size={18} className="text-muted" aria-hidden="true" />
        <h2 className="font-semibold">{approvalLook[approval.state].text}</h2>
      </div>
      <p className="mt-1.5 text-muted">
        {approval.decidedBy ? (
          <>
            By <Actor id={approval.decidedBy} />
          </>
        ) : (
          'Nobody answered'
        )}
        {approval.decidedAt ? (
          <>
            , <ExactTime at={approval.decidedAt} />
          </>
        ) : null}
        .{approval.mode ? ` ${modes[approval.mode]}` : ''}
      </p>
      {approval.supersededBy ? (
        <Link
          to="/approvals/$approvalId"
          params={{ approvalId: approval.supersededBy }}
          className={`${buttonStyle('solid')} mt-4`}
        >
          To the question that replaced it
        </Link>
      ) : null}
      {approval.reason ? (
        <blockquote className="mt-3 border-l-2 border-brass-mark pl-3">{approval.reason}</blockquote>
      ) : null}
    </Sheet>
  )
}
