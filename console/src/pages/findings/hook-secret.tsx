import { api, type ScheduleView } from '@keyward/contract'
import { TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { useTriage } from './use-triage.ts'

/** Issues the secret of a webhook, and shows it once. */
export function HookSecret({
  schedule: { id: scheduleId, push, hook, hookReady },
}: {
  schedule: ScheduleView
}) {
  const [asking, setAsking] = useState(false)
  const [secret, setSecret] = useState<string>()
  const issue = useTriage({
    work: () => call(api.schedules.secret, { scheduleId }),
    done: 'A secret is issued',
    onDone: (issued) => setSecret(issued.secret),
  })
  const close = (): void => {
    setAsking(false)
    setSecret(undefined)
    issue.reset()
  }
  const where = push?.provider === 'gitlab' ? 'Secret token' : 'Secret'
  return (
    <>
      <Button size="small" onClick={() => setAsking(true)}>
        {hookReady ? 'New secret…' : 'Issue a secret…'}
      </Button>
      <Dialog
        open={asking}
        onClose={close}
        dismissible={secret === undefined}
        title={secret === undefined ? `Issue a secret for ${push?.repository}` : 'The secret of the webhook'}
        description={
          secret === undefined
            ? hookReady
              ? 'The secret of today ends at once: pushes are refused until the new one stands at the provider.'
              : 'Who knows it can have this folder scanned. It is shown once.'
            : null
        }
      >
        {issue.error ? <Failure error={issue.error} /> : null}
        {secret === undefined ? (
          <div className="mt-2 flex justify-end gap-2">
            <Button tone="quiet" onClick={close}>
              Cancel
            </Button>
            <Button tone="solid" busy={issue.isPending} onClick={() => issue.mutate()}>
              Issue
            </Button>
          </div>
        ) : (
          <>
            <p className="flex items-start gap-2 rounded-lg bg-wait-wash px-3 py-2.5 text-wait">
              <TriangleAlert size={16} className="mt-0.5 shrink-0" aria-hidden="true" />
              It is shown now and never again.
            </p>
            <dl className="mt-4 flex flex-col gap-3">
              <Shown name="Payload address, below the address of this server" value={hook ?? ''} />
              <Shown name={where} value={secret} />
            </dl>
            <p className="mt-3 text-[0.8125rem] text-muted">
              Content type application/json; pushes are the only event that counts.
            </p>
            <div className="mt-5 flex justify-end">
              <Button tone="solid" onClick={close}>
                I have kept it
              </Button>
            </div>
          </>
        )}
      </Dialog>
    </>
  )
}

function Shown({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="mt-0.5 flex items-start gap-1">
        <code className="break-all">{value}</code>
        <CopyButton text={value} label={`Copy: ${name}`} />
      </dd>
    </div>
  )
}
