import { api, type ConnectionView } from '@keyward/contract'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { ShownOnce } from '../../ui/shown-once.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'

/** Issues the secret of a connection's webhook, and shows it once. */
export function HookDialog({ connection: { id: connectionId, name } }: { connection: ConnectionView }) {
  const [open, setOpen] = useState(false)
  const issue = useAnnouncedChange(
    { work: () => call(api.hooks.issue, { connectionId }), done: 'A secret is issued' },
    ['hooks'],
  )
  const close = (): void => {
    setOpen(false)
    issue.reset()
  }
  const issued = issue.data
  return (
    <>
      <Button size="small" onClick={() => setOpen(true)}>
        Listen…
      </Button>
      <Dialog
        open={open}
        onClose={close}
        dismissible={issued === undefined}
        title={`Listen to ${name}`}
        description={
          issued
            ? null
            : 'GitHub tells of events at an address of this connection, signed with a secret. One that was issued before ends at once.'
        }
      >
        {issue.error ? <Failure error={issue.error} /> : null}
        {issued ? (
          <ShownOnce value={issued.secret} label="Copy the secret" onClose={close}>
            Enter it as webhook secret of the App. Webhook URL is this server’s address with{' '}
            <code className="break-all">{issued.hook.address}</code>{' '}
            <CopyButton text={issued.hook.address} label="Copy the address" />
          </ShownOnce>
        ) : (
          <div className="mt-2 flex justify-end gap-2">
            <Button tone="quiet" onClick={close}>
              Cancel
            </Button>
            <Button tone="solid" busy={issue.isPending} onClick={() => issue.mutate()}>
              Issue a secret
            </Button>
          </div>
        )}
      </Dialog>
    </>
  )
}
