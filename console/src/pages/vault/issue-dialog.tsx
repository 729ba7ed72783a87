import { type AppRoleView, api, type ResultOf } from '@keyward/contract'
import { TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Command, CopyButton } from '../../ui/copy.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Select } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Countdown } from '../../ui/time.tsx'
import { useChange } from './use-change.ts'

type Issued = ResultOf<typeof api.appRoles.issue>
type Props = { open: boolean; role: AppRoleView; onClose: () => void }

/** A secret id is never shown: what is shown, once, is a token that fetches it once. */
export function IssueDialog({ open, role, onClose }: Props) {
  const [issued, setIssued] = useState<Issued>()
  const close = (): void => {
    setIssued(undefined)
    onClose()
  }
  return (
    <Dialog
      open={open}
      onClose={close}
      dismissible={!issued}
      title={issued ? `For ${role.name}` : `Issue a secret id for ${role.name}`}
      description={
        issued
          ? null
          : 'It is kept behind a token that opens once. If somebody else opens it on the way, the program finds it used, and you know.'
      }
    >
      {issued ? (
        <Once issued={issued} onClose={close} />
      ) : (
        <Form role={role} onIssued={setIssued} onCancel={close} />
      )}
    </Dialog>
  )
}

const spans = [
  ['300', '5 minutes'],
  ['600', '10 minutes'],
  ['3600', '1 hour'],
  ['86400', '1 day'],
] as const

type FormProps = { role: AppRoleView; onIssued: (issued: Issued) => void; onCancel: () => void }

function Form({ role, onIssued, onCancel }: FormProps) {
  const [span, setSpan] = useState<(typeof spans)[number][0]>('600')
  const issue = useChange({
    work: () =>
      call(api.appRoles.issue, { mount: role.mount, roleName: role.name, wrapTtlSeconds: Number(span) }),
    done: 'A secret id is issued',
    onDone: (result) => {
      onIssued(result)
      issue.reset()
    },
  })
  return (
    <>
      <Select label="It can be fetched for" value={span} options={spans} onChange={setSpan} />
      {issue.error ? <Failure error={issue.error} /> : null}
      <div className="mt-5 flex justify-end gap-2">
        <Button tone="quiet" onClick={onCancel}>
          Cancel
        </Button>
        <Button tone="solid" busy={issue.isPending} onClick={() => issue.mutate()}>
          Issue
        </Button>
      </div>
    </>
  )
}

function Once({ issued, onClose }: { issued: Issued; onClose: () => void }) {
  return (
    <>
      <p className="flex items-start gap-2.5 rounded-lg bg-wait-wash px-3.5 py-3">
        <TriangleAlert size={17} className="mt-0.5 shrink-0 text-wait" aria-hidden="true" />
        <span className="text-pretty">
          This token is shown now and never again. It opens once, within{' '}
          <Countdown until={issued.expiresAt} />.
        </span>
      </p>
      <dl className="mt-4 flex flex-col gap-3">
        <Line name="Wrapping token" value={issued.wrappingToken} secret />
        <Line name="Role id" value={issued.roleId} />
      </dl>
      <p className="mt-4 mb-1.5 text-muted">The program opens it, with the token in VAULT_TOKEN:</p>
      <Command text="bao unwrap -field=secret_id" />
      <div className="mt-5 flex justify-end">
        <Button tone="solid" onClick={onClose}>
          I have handed it over
        </Button>
      </div>
    </>
  )
}

function Line({ name, value, secret = false }: { name: string; value: string; secret?: boolean }) {
  return (
    <div>
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="mt-1 flex items-center gap-2 rounded-lg border border-edge bg-sunken py-2 pr-2 pl-3">
        <code className="min-w-0 flex-1 break-all" data-revealed={secret ? '' : undefined}>
          {value}
        </code>
        <CopyButton text={value} label={`Copy the ${name.toLowerCase()}`} />
      </dd>
    </div>
  )
}
