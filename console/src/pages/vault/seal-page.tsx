import { api, type SealView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { KeyRound, LockKeyhole, LockKeyholeOpen, RefreshCw } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { sealQuery } from '../../api/vault-queries.ts'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Input } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Facts, Section, Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { ConfirmPath } from './confirm-path.tsx'
import { useChange } from './use-change.ts'
import { VaultFrame } from './vault-frame.tsx'

export function SealPage() {
  const reading = useQuery(sealQuery)
  const { data } = reading
  return (
    <VaultFrame
      title="Seal"
      lead="What is stored is encrypted by a key that stands in memory only. Sealing wipes it; whoever holds the shares, or the service that guards it, brings it back."
      reading={reading}
      evenSealed
    >
      {data ? <State seal={data} /> : null}
    </VaultFrame>
  )
}

const kinds: Record<string, string> = {
  keyfile: 'a key file on the server',
  shamir: 'key shares that people hold',
  transit: 'another vault',
  awskms: 'AWS KMS',
}

function State({ seal }: { seal: SealView }) {
  const { sealed, initialised, kind, shares, threshold, key } = seal
  const Icon = sealed ? LockKeyhole : LockKeyholeOpen
  const word = !initialised ? 'Not initialised' : sealed ? 'Sealed' : 'Open'
  return (
    <>
      <Sheet className="mb-6 p-5">
        <p
          className={`mb-4 flex items-center gap-2.5 text-base font-semibold ${sealed ? 'text-wait' : 'text-ok'}`}
        >
          <Icon size={20} aria-hidden="true" />
          {word}
        </p>
        <Facts
          columns={2}
          facts={[
            ['Opened by', kinds[kind] ?? kind],
            ['Shares', shares > 1 ? `${threshold} of ${shares}` : '–'],
            ['Key in use', key ? `number ${key.term}, for ${key.encryptions} encryptions` : '–'],
            ['Since', key ? <Time key="at" at={key.installedAt} /> : '–'],
          ]}
        />
      </Sheet>
      {sealed && initialised ? <Unseal seal={seal} /> : null}
      {sealed ? null : <OpenActions />}
    </>
  )
}

/** A share goes from the field to the server and is forgotten here. */
function Unseal({ seal: { threshold, progress, kind } }: { seal: SealView }) {
  const [share, setShare] = useState('')
  const unseal = useChange({
    work: () => call(api.seal.unseal, { share: share.trim() }),
    done: 'The share is taken',
    onDone: () => setShare(''),
  })
  if (kind !== 'shamir')
    return (
      <p>It opens by itself as soon as its key can be read. See the server's log for what it waits for.</p>
    )
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (share.trim() !== '') unseal.mutate()
  }
  return (
    <Section title="Unseal" aside={`${progress} of ${threshold} shares given`}>
      <Sheet className="p-5">
        <progress
          value={progress}
          max={threshold}
          aria-label="Shares given"
          className="mb-4 block h-2 w-full overflow-hidden rounded-full [&::-moz-progress-bar]:bg-brass-mark [&::-webkit-progress-bar]:bg-sunken [&::-webkit-progress-value]:bg-brass-mark"
        />
        <form onSubmit={submit} autoComplete="off" className="flex max-w-xl flex-col gap-4">
          <Input
            label="Key share"
            type="password"
            autoComplete="off"
            spellCheck={false}
            value={share}
            hint="One of yours. Each holder gives one, on any machine."
            onChange={({ target }) => setShare(target.value)}
          />
          {unseal.error ? <Failure error={unseal.error} /> : null}
          <div>
            <Button
              tone="solid"
              type="submit"
              icon={KeyRound}
              disabled={share.trim() === ''}
              busy={unseal.isPending}
            >
              Give the share
            </Button>
          </div>
        </form>
      </Sheet>
    </Section>
  )
}

function OpenActions() {
  const [open, setOpen] = useState<'rotate' | 'seal'>()
  const close = (): void => setOpen(undefined)
  const rotate = useChange({
    work: () => call(api.seal.rotate, {}),
    done: 'A new key is in use',
    onDone: close,
  })
  const seal = useChange({
    work: () => call(api.seal.close, { confirm: 'seal' }),
    done: 'The vault is sealed',
    onDone: close,
  })
  return (
    <Sheet>
      <ul className="divide-y divide-line">
        <Deed
          title="Rotate the key"
          text="What is written from now on is encrypted with a new key. What is there stays readable."
        >
          <Button icon={RefreshCw} onClick={() => setOpen('rotate')}>
            Rotate…
          </Button>
        </Deed>
        <Deed
          title="Seal the vault"
          text="For an emergency: nothing can be read, lent or signed in to until it is opened again."
        >
          <Button tone="danger" icon={LockKeyhole} onClick={() => setOpen('seal')}>
            Seal…
          </Button>
        </Deed>
      </ul>
      <ConfirmDialog
        open={open === 'rotate'}
        onClose={close}
        title="Rotate the key?"
        description="It takes effect at once, and nobody notices."
        action="Rotate"
        dismiss="Cancel"
        work={rotate}
      />
      <ConfirmPath
        open={open === 'seal'}
        onClose={close}
        title="Seal the vault?"
        what="seal"
        action="Seal the vault"
        work={seal}
      >
        Every program that reads secrets stops working until it is opened again.
      </ConfirmPath>
    </Sheet>
  )
}

function Deed({ title, text, children }: { title: string; text: string; children: React.ReactNode }) {
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3 px-5 py-4">
      <div className="min-w-56 flex-1">
        <h2 className="font-medium">{title}</h2>
        <p className="mt-0.5 text-pretty text-muted">{text}</p>
      </div>
      {children}
    </li>
  )
}
