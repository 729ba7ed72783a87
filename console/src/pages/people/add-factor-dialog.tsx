import { api, type FactorView } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { factorsQuery } from '../../api/queries.ts'
import { keysWorkHere, makeKey } from '../../api/webauthn.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Code, KeyFailure, needsFactor, SecondFactorDialog } from '../../ui/second-factor.tsx'
import { Codes } from './recovery-codes.tsx'

export type FactorKind = FactorView['kind']
type Begun = { factorId: string; secret: string; url: string; qr: string }

const words = {
  totp: { title: 'Add an app that shows codes', name: 'My phone' },
  key: { title: 'Add a security key', name: 'My key' },
} as const

/** A name, then the app's secret or the key's touch, then recovery codes when these are the first. */
export function AddFactorDialog({ kind, onClose }: { kind: FactorKind; onClose: () => void }) {
  const client = useQueryClient()
  const [begun, setBegun] = useState<Begun>()
  const [codes, setCodes] = useState<readonly string[]>()
  const added = async (recoveryCodes: readonly string[] | null): Promise<void> => {
    announce('Your second factor is added')
    await client.invalidateQueries(factorsQuery)
    if (recoveryCodes) setCodes(recoveryCodes)
    else onClose()
  }
  return (
    <Dialog
      open
      onClose={onClose}
      dismissible={codes === undefined}
      title={codes ? 'Your recovery codes' : words[kind].title}
      description={null}
    >
      {codes ? <Codes codes={codes} onClose={onClose} /> : null}
      {!codes && begun ? <ShowSecret begun={begun} onAdded={added} /> : null}
      {!codes && !begun ? <Begin kind={kind} onBegun={setBegun} onAdded={added} /> : null}
    </Dialog>
  )
}

type OnAdded = (recoveryCodes: readonly string[] | null) => Promise<void>
type BeginProps = { kind: FactorKind; onBegun: (begun: Begun) => void; onAdded: OnAdded }

function Begin({ kind, onBegun, onAdded }: BeginProps) {
  const [name, setName] = useState<string>(words[kind].name)
  const [showing, setShowing] = useState(false)
  const begin = useMutation({
    mutationFn: async () => {
      if (kind === 'totp') return onBegun(await call(api.secondFactors.addTotp, { name: name.trim() }))
      const asked = await call(api.secondFactors.addKey, {
        name: name.trim(),
        origin: window.location.origin,
      })
      const answered = await makeKey(asked)
      const { recoveryCodes } = await call(api.secondFactors.finishKey, {
        factorId: asked.factorId,
        ...answered,
      })
      await onAdded(recoveryCodes)
    },
    gcTime: 0,
    onError: (error) => setShowing(needsFactor(error)),
  })
  const impossible = kind === 'key' && !keysWorkHere()
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (name.trim() !== '') begin.mutate()
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Input
        label="Its name"
        required
        value={name}
        maxLength={100}
        autoComplete="off"
        onChange={({ target }) => setName(target.value)}
      />
      {impossible ? (
        <p className="text-pretty text-muted">
          This browser has no security keys here: they need HTTPS, or the address localhost.
        </p>
      ) : null}
      {begin.error && !needsFactor(begin.error) ? <KeyFailure error={begin.error} /> : null}
      <div className="flex justify-end">
        <Button tone="solid" type="submit" busy={begin.isPending} disabled={impossible}>
          {kind === 'totp' ? 'Show its secret' : 'Touch the key'}
        </Button>
      </div>
      <SecondFactorDialog
        open={showing}
        onClose={() => setShowing(false)}
        why="You have a second factor already: show it before you add another."
        onShown={() => {
          setShowing(false)
          begin.mutate()
        }}
      />
    </form>
  )
}

function ShowSecret({ begun, onAdded }: { begun: Begun; onAdded: OnAdded }) {
  const finish = useMutation({
    mutationFn: (code: string) => call(api.secondFactors.finishTotp, { factorId: begun.factorId, code }),
    gcTime: 0,
    onSuccess: ({ recoveryCodes }) => onAdded(recoveryCodes),
  })
  return (
    <div className="flex flex-col gap-4">
      <p className="text-pretty text-muted">
        Scan this with the app, or enter the secret in it. Then type what the app shows.
      </p>
      <img
        src={`data:image/png;base64,${begun.qr}`}
        alt="QR code with the secret, for the camera of the app"
        className="size-44 self-center rounded-lg bg-white p-2 [image-rendering:pixelated]"
        data-revealed=""
      />
      <div className="flex items-center gap-2 rounded-lg border border-edge bg-sunken py-2 pr-2 pl-3">
        <code className="min-w-0 flex-1 break-all" data-revealed="">
          {begun.secret.replaceAll(/(.{4})(?=.)/g, '$1 ')}
        </code>
        <CopyButton text={begun.secret} label="Copy the secret" />
      </div>
      <a href={begun.url} className="text-[0.8125rem] underline decoration-edge underline-offset-3">
        Open in an app of this device
      </a>
      <Code busy={finish.isPending} onCode={(code) => finish.mutate(code)} />
      {finish.error ? <Failure error={finish.error} /> : null}
    </div>
  )
}
