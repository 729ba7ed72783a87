import type { ApprovalAnswer, ApprovalView } from '@keyward/contract'
import { Check, KeyRound, Pencil, UserRound, UsersRound, X } from 'lucide-react'
import { Actor } from '../../ui/actor.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'

/** What an answer takes: how many people, of which groups, with what; and who has answered so far. */
export function ApprovalTerms({ approval }: { approval: ApprovalView }) {
  const { quorum, groups, needsSecondFactor, approvals, changedBy } = approval
  const given = approvals.filter(({ decision }) => decision === 'approved').length
  const open = approval.state === 'pending' ? Math.max(0, quorum - given) : 0
  return (
    <Sheet className="mt-5 p-5">
      <h2 className="text-xs text-muted">
        {quorum === 1 ? 'One person has to allow it' : `${quorum} people have to allow it; ${given} did`}
      </h2>
      {quorum > 1 || approvals.length > 0 ? (
        <ul className="mt-2 flex flex-col gap-2">
          {approvals.map((answer) => (
            <Given key={`${answer.by} ${answer.at}`} answer={answer} />
          ))}
          {Array.from({ length: open }, (_, at) => (
            <li key={`open-${String(at)}`} className="flex items-center gap-2.5 text-muted">
              <span className="flex size-6 items-center justify-center rounded-full border border-dashed border-edge">
                <UserRound size={13} aria-hidden="true" />
              </span>
              open
            </li>
          ))}
        </ul>
      ) : null}
      {changedBy.map((actor) => (
        <p key={actor} className="mt-3 flex items-start gap-2 text-[0.8125rem]">
          <Pencil size={15} className="mt-0.5 shrink-0 text-brass" aria-hidden="true" />
          <span>
            <Actor id={actor} /> changed the arguments
          </span>
        </p>
      ))}
      {groups.length > 0 ? (
        <p className="mt-3 flex items-start gap-2 text-[0.8125rem]">
          <UsersRound size={15} className="mt-0.5 shrink-0 text-brass" aria-hidden="true" />
          Of {groups.join(' or ')}
        </p>
      ) : null}
      {needsSecondFactor ? (
        <p className="mt-3 flex items-start gap-2 text-[0.8125rem]">
          <KeyRound size={15} className="mt-0.5 shrink-0 text-brass" aria-hidden="true" />
          Each with a second factor that was shown just before
        </p>
      ) : null}
    </Sheet>
  )
}

function Given({ answer }: { answer: ApprovalAnswer }) {
  const yes = answer.decision === 'approved'
  const Icon = yes ? Check : X
  return (
    <li className="flex items-start gap-2.5">
      <span
        className={`flex size-6 shrink-0 items-center justify-center rounded-full ${yes ? 'bg-ok-wash text-ok' : 'bg-bad-wash text-bad'}`}
      >
        <Icon size={13} strokeWidth={2.6} aria-hidden="true" />
      </span>
      <div className="min-w-0">
        <p>
          {yes ? 'Allowed' : 'Refused'} by <Actor id={answer.by} />
          {answer.onBehalfOf ? (
            <>
              {' '}
              for <Actor id={answer.onBehalfOf} />
            </>
          ) : null}
        </p>
        <p className="text-xs text-muted">
          <Time at={answer.at} />
          {answer.channel === 'console' ? '' : `, from ${answer.channel}`}
        </p>
        {answer.reason ? (
          <blockquote className="mt-1 border-l-2 border-brass-mark pl-2.5 text-[0.8125rem]">
            {answer.reason}
          </blockquote>
        ) : null}
      </div>
    </li>
  )
}
