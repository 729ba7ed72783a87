import { type ApprovalView, api, type ResultOf } from '@keyward/contract'
import { Ban, Check, ListChecks } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'

type Props = {
  picked: readonly ApprovalView[]
  /** All that could be chosen with them. */
  alike: readonly ApprovalView[]
  onPick: (approvals: readonly ApprovalView[]) => void
}

/** Below the thumb: how many are chosen, and the way to answer them. */
export function AnswerMany({ picked, alike, onPick }: Props) {
  const [asked, setAsked] = useState<readonly ApprovalView[]>()
  const close = (): void => {
    setAsked(undefined)
    onPick([])
  }
  return (
    <>
      <section
        aria-label="Chosen approvals"
        className="sticky bottom-0 z-20 mt-3 flex flex-wrap items-center gap-x-3 gap-y-2 rounded-t-xl border border-line bg-surface px-4 pt-3 pb-[max(0.75rem,env(safe-area-inset-bottom))] shadow-2xl"
      >
        <p className="min-w-0 flex-1 basis-40">
          <strong className="font-semibold">{picked.length} chosen</strong>{' '}
          <span className="break-words text-muted">{picked[0]?.action}</span>
        </p>
        <Button tone="quiet" onClick={() => onPick([])}>
          Clear
        </Button>
        {picked.length < alike.length ? (
          <Button onClick={() => onPick(alike)}>All {alike.length}</Button>
        ) : null}
        <Button tone="solid" icon={ListChecks} onClick={() => setAsked(picked)}>
          Answer…
        </Button>
      </section>
      <Dialog
        open={asked !== undefined}
        onClose={() => setAsked(undefined)}
        title={`One answer for ${asked?.length ?? 0}`}
        description="Each holds once, for exactly what was shown; what has changed since is not answered."
      >
        {asked ? <Form approvals={asked} onDone={close} /> : null}
      </Dialog>
    </>
  )
}

type Answer = 'approved' | 'denied'
type Answered = ResultOf<typeof api.approvals.answerMany>['items']

function Form({ approvals, onDone }: { approvals: readonly ApprovalView[]; onDone: () => void }) {
  const [reason, setReason] = useState('')
  const [answered, setAnswered] = useState<Answered>([])
  const onAnswered = ({ items }: { items: Answered }): void => {
    if (items.every(({ code }) => code === null)) onDone()
    else setAnswered(items)
  }
  const [approve, deny] = [
    useAnswers(approvals, 'approved', { reason, onAnswered }),
    useAnswers(approvals, 'denied', { reason, onAnswered }),
  ]
  const problemOf = (id: string) => answered.find(({ approvalId }) => approvalId === id)
  const busy = approve.isPending || deny.isPending
  const error = approve.error ?? deny.error
  return (
    <div className="flex flex-col gap-4">
      <ul
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        tabIndex={0}
        aria-label="What is answered"
        className="max-h-[30dvh] divide-y divide-line overflow-y-auto rounded-md border border-line text-[0.8125rem]"
      >
        {approvals.map(({ id, title, target }) => {
          const outcome = problemOf(id)
          return (
            <li key={id} className="px-3 py-2 wrap-anywhere">
              {title}, on {target}
              {outcome ? (
                <span className={`block ${outcome.code ? 'text-bad' : 'text-ok'}`}>
                  {outcome.code ? `Not answered: ${outcome.detail}` : 'Answered'}
                </span>
              ) : null}
            </li>
          )
        })}
      </ul>
      {answered.length > 0 ? (
        <div className="flex justify-end">
          <Button tone="solid" onClick={onDone}>
            Close
          </Button>
        </div>
      ) : (
        <>
          <TextArea
            label="Reason (kept in the audit log)"
            value={reason}
            maxLength={1000}
            onChange={({ target }) => setReason(target.value)}
          />
          {error ? <Failure error={error} /> : null}
          <div className="grid grid-cols-2 gap-2.5">
            <Button
              tone="solid"
              icon={Check}
              busy={approve.isPending}
              disabled={busy}
              onClick={() => approve.mutate()}
            >
              Approve {approvals.length}
            </Button>
            <Button
              tone="danger"
              icon={Ban}
              busy={deny.isPending}
              disabled={busy}
              onClick={() => deny.mutate()}
            >
              Deny {approvals.length}
            </Button>
          </div>
        </>
      )}
    </div>
  )
}

function useAnswers(
  approvals: readonly ApprovalView[],
  decision: Answer,
  { reason, onAnswered }: { reason: string; onAnswered: (result: { items: Answered }) => void },
) {
  return useAnnouncedChange(
    {
      work: () =>
        call(api.approvals.answerMany, {
          decision,
          answers: approvals.map(({ id, digest }) => ({ approvalId: id, digest })),
          ...(reason.trim() === '' ? {} : { reason: reason.trim() }),
        }),
      done: 'Your answer is given',
      onDone: onAnswered,
    },
    ['approvals', 'runs', 'status', 'audit'],
  )
}
