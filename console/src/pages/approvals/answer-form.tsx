import { type ApprovalView, api } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Ban, Check, Pencil, ShieldAlert } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { approvalQuery } from '../../api/queries.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { needsFactor, SecondFactorDialog } from '../../ui/second-factor.tsx'
import { Countdown } from '../../ui/time.tsx'
import { ChangeDialog } from './change-dialog.tsx'

type Answer = 'approve' | 'deny'

/** Sends the digest of what stands on this page: the server refuses the answer if it is not what would run. */
export function AnswerForm({ approval }: { approval: ApprovalView }) {
  const [reason, setReason] = useState('')
  const [confirming, setConfirming] = useState(false)
  const [showing, setShowing] = useState(false)
  const [changing, setChanging] = useState(false)
  const answer = useAnswer(approval, reason, () => setShowing(true))
  const grave = approval.risk === 'critical' || !approval.reversible
  const approve = (): void => (grave ? setConfirming(true) : answer.mutate('approve'))
  const busy = (which: Answer): boolean => answer.isPending && answer.variables === which
  return (
    <Sheet className="overflow-hidden border-brass-mark/60">
      <div className="border-b border-line bg-brass-wash px-5 py-3.5">
        <h2 className="font-semibold">Your answer</h2>
        <p className="text-[0.8125rem]">It holds once, for exactly this.</p>
        <p className="mt-1 text-[0.8125rem]">
          Time left: <Countdown until={approval.expiresAt} />
        </p>
      </div>
      <div className="flex flex-col gap-4 p-5">
        <TextArea
          label="Reason (kept in the audit log)"
          value={reason}
          maxLength={1000}
          onChange={({ target }) => setReason(target.value)}
        />
        {answer.error && !needsFactor(answer.error) ? <Failure error={answer.error} /> : null}
        <div className="grid grid-cols-2 gap-2.5">
          <Button
            tone="solid"
            icon={Check}
            busy={busy('approve')}
            disabled={answer.isPending}
            onClick={approve}
          >
            {grave ? 'Approve…' : 'Approve'}
          </Button>
          <Button
            tone="danger"
            icon={Ban}
            busy={busy('deny')}
            disabled={answer.isPending}
            onClick={() => answer.mutate('deny')}
          >
            Deny
          </Button>
        </div>
        {approval.changeable ? (
          <Button tone="quiet" icon={Pencil} onClick={() => setChanging(true)}>
            Change the arguments…
          </Button>
        ) : null}
      </div>
      <Dialog
        open={confirming}
        onClose={() => setConfirming(false)}
        title={approval.reversible ? 'Approve a critical action?' : 'Approve what cannot be undone?'}
        description={
          <span className="flex gap-3">
            <ShieldAlert size={18} className="mt-0.5 shrink-0 text-bad" aria-hidden="true" />
            <span>
              <strong className="font-semibold text-ink">{approval.title}</strong>, on {approval.target}.
            </span>
          </span>
        }
      >
        <div className="flex justify-end gap-2">
          <Button tone="quiet" onClick={() => setConfirming(false)}>
            Look again
          </Button>
          <Button
            tone="solid"
            icon={Check}
            onClick={() => {
              setConfirming(false)
              answer.mutate('approve')
            }}
          >
            Approve it
          </Button>
        </div>
      </Dialog>
      {changing ? <ChangeDialog approval={approval} onClose={() => setChanging(false)} /> : null}
      <SecondFactorDialog
        open={showing}
        onClose={() => setShowing(false)}
        why="What is of this risk needs a second factor that was shown just now."
        onShown={() => {
          setShowing(false)
          answer.mutate('approve')
        }}
      />
    </Sheet>
  )
}

const said: Partial<Record<ApprovalView['state'], string>> = {
  approved: 'Approved: the run goes on',
  denied: 'Denied: it will not run',
}

function useAnswer({ id, digest }: ApprovalView, reason: string, onFactor: () => void) {
  const client = useQueryClient()
  const given = reason.trim() === '' ? {} : { reason: reason.trim() }
  return useMutation({
    mutationFn: (answer: Answer) => call(api.approvals[answer], { approvalId: id, digest, ...given }),
    onSuccess: (decided) => {
      client.setQueryData(approvalQuery(id).queryKey, decided)
      announce(said[decided.state] ?? 'Your answer counts; others still have to answer')
      document.querySelector<HTMLElement>('main h1')?.focus()
    },
    onError: (error) => {
      if (needsFactor(error)) onFactor()
    },
    // Whatever was refused, the page shows what is true now.
    onSettled: () =>
      client.invalidateQueries({
        predicate: ({ queryKey }) => ['approvals', 'runs', 'status', 'audit'].includes(String(queryKey[0])),
      }),
  })
}
