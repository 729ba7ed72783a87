import { api } from '@keyward/contract'
import { useMutation, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { KeyRound } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { call, problemOf } from '../api/index.ts'
import { factorsQuery } from '../api/queries.ts'
import { keysWorkHere, signWithKey } from '../api/webauthn.ts'
import { Button, buttonStyle } from './button.tsx'
import { Dialog } from './dialog.tsx'
import { Input } from './field.tsx'
import { Failure, Skeleton } from './notice.tsx'

type Props = { open: boolean; onClose: () => void; onShown: () => void; why: string }
type Shown = Parameters<typeof call<typeof api.secondFactors.confirm>>[1]

/** Asks whoever is signed in for a second factor. It then counts for five minutes in this session. */
export function SecondFactorDialog({ open, onClose, onShown, why }: Props) {
  return (
    <Dialog open={open} onClose={onClose} title="Show that it is you" description={why}>
      <Factors onShown={onShown} />
    </Dialog>
  )
}

function Factors({ onShown }: { onShown: () => void }) {
  const { data, error, refetch } = useQuery(factorsQuery)
  const confirm = useMutation({
    mutationFn: (shown: Shown) => call(api.secondFactors.confirm, shown),
    gcTime: 0,
    onSuccess: onShown,
  })
  const key = useMutation({ mutationFn: withKey, gcTime: 0, onSuccess: onShown })
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data) return <Skeleton rows={1} label="Loading your second factors" />
  if (data.items.length === 0) return <None />
  return (
    <div className="flex flex-col gap-4">
      {data.items.some(({ kind }) => kind === 'key') && keysWorkHere() ? (
        <Button tone="solid" icon={KeyRound} busy={key.isPending} onClick={() => key.mutate()}>
          Use a security key
        </Button>
      ) : null}
      {key.error ? <KeyFailure error={key.error} /> : null}
      {data.items.some(({ kind }) => kind === 'totp') ? (
        <Code busy={confirm.isPending} onCode={(code) => confirm.mutate({ code })} />
      ) : null}
      {confirm.error ? <Failure error={confirm.error} /> : null}
    </div>
  )
}

async function withKey() {
  const challenge = await call(api.secondFactors.challenge, { origin: window.location.origin })
  return call(api.secondFactors.confirm, { key: await signWithKey(challenge) })
}

/** The browser's own refusal is one error for everything, so that a page learns nothing from it. */
export function KeyFailure({ error }: { error: unknown }) {
  if (!(error instanceof DOMException)) return <Failure error={error} />
  return (
    <p role="alert" className="text-[0.8125rem] font-medium text-bad">
      The key did not answer, or it was called off. Try again.
    </p>
  )
}

const digits = /^\d{6}$/

/** Six digits of an app. */
export function Code({ busy, onCode }: { busy: boolean; onCode: (code: string) => void }) {
  const [code, setCode] = useState('')
  const [told, setTold] = useState(false)
  const plain = code.replaceAll(/\s/g, '')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (digits.test(plain)) onCode(plain)
  }
  return (
    <form onSubmit={submit} noValidate className="flex items-end gap-2.5">
      <div className="flex-1">
        <Input
          label="Code of your app"
          value={code}
          inputMode="numeric"
          autoComplete="one-time-code"
          placeholder="123 456"
          onChange={({ target }) => setCode(target.value)}
          error={told && !digits.test(plain) ? 'Six digits are needed.' : undefined}
        />
      </div>
      <Button type="submit" busy={busy}>
        Check
      </Button>
    </form>
  )
}

function None() {
  return (
    <div className="flex flex-col items-start gap-4">
      <p className="text-pretty">
        You have no second factor yet. Add an app that shows codes or a security key, then answer again.
      </p>
      <Link to="/people/factors" className={buttonStyle('solid')}>
        Add a second factor
      </Link>
    </div>
  )
}

export const needsFactor = (error: unknown): boolean =>
  ['factor.needed', 'approval.second_factor'].includes(problemOf(error).code)
