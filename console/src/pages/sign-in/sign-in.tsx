import { api } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { LoaderCircle, LogIn } from 'lucide-react'
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { call } from '../../api/index.ts'
import { sessionQuery } from '../../api/queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { Input } from '../../ui/field.tsx'
import { Mark } from '../../ui/mark.tsx'
import { Failure } from '../../ui/notice.tsx'
import { codeIn } from './sign-in-code.ts'

export type SignInState =
  | { kind: 'looking' }
  | { kind: 'signed-out' }
  | { kind: 'failed'; error: unknown; retry: () => void }
  | { kind: 'code'; code: string }

const loginCommand = 'keyward login --link'

/** The way in. Nobody types a password here: the command line gives a link that works once. */
export function SignIn({ state, onDone }: { state: SignInState; onDone: () => void }) {
  const exchange = useExchange(onDone)
  const asked = useRef('')
  const code = state.kind === 'code' ? state.code : ''
  const { mutate } = exchange
  useEffect(() => {
    if (code === '' || asked.current === code) return
    asked.current = code
    mutate(code)
  }, [code, mutate])
  useEffect(() => {
    document.title = 'Sign in · Keyward'
  }, [])
  if (state.kind === 'looking' || exchange.isPending) return <Waiting signingIn={exchange.isPending} />
  if (exchange.isError) {
    return (
      <Frame title="This link did not sign you in">
        <Failure error={exchange.error} />
        <p className="mt-4 text-muted">
          A sign-in link works once and only for some minutes. Ask for a new one:
        </p>
        <HowTo onCode={exchange.mutate} />
      </Frame>
    )
  }
  if (state.kind === 'failed') {
    return (
      <Frame title="The console cannot start">
        <Failure error={state.error} retry={state.retry} />
      </Frame>
    )
  }
  if (state.kind === 'code') return <Waiting signingIn />
  return (
    <Frame title="You are signed out">
      <p className="text-muted">Run this where the server runs, and open the link it prints:</p>
      <HowTo onCode={exchange.mutate} />
    </Frame>
  )
}

function useExchange(onDone: () => void) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (code: string) => call(api.session.exchange, { code, kind: 'cookie' }),
    onSuccess: async ({ session }) => {
      await client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'session' })
      client.setQueryData(sessionQuery.queryKey, session)
      onDone()
    },
  })
}

function HowTo({ onCode }: { onCode: (code: string) => void }) {
  const [pasted, setPasted] = useState('')
  const [wrong, setWrong] = useState(false)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    const code = codeIn(pasted.includes('#') ? pasted : `#code=${encodeURIComponent(pasted.trim())}`)
    setWrong(code === undefined)
    setPasted('')
    if (code !== undefined) onCode(code)
  }
  return (
    <>
      <p className="mt-2">
        <Command text={loginCommand} />
      </p>
      <form onSubmit={submit} className="mt-6 flex flex-col gap-3 border-t border-line pt-5">
        <Input
          label="Or paste the link here"
          type="password"
          autoComplete="off"
          value={pasted}
          onChange={({ target }) => setPasted(target.value)}
          hint="It is used once and kept nowhere."
          error={wrong ? 'There is no sign-in code in this text.' : undefined}
        />
        <Button tone="solid" type="submit" icon={LogIn} className="self-start">
          Sign in
        </Button>
      </form>
    </>
  )
}

function Waiting({ signingIn }: { signingIn: boolean }) {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-4 text-muted">
      <Mark size={36} />
      <h1 className="flex items-center gap-2 text-sm font-normal" role="status">
        <LoaderCircle size={15} className="spin" aria-hidden="true" />
        {signingIn ? 'Signing you in…' : 'Opening the console…'}
      </h1>
    </main>
  )
}

function Frame({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="mx-auto flex min-h-dvh w-full max-w-[27rem] flex-col justify-center px-5 py-12">
      <div className="mb-8 flex items-center gap-2.5 text-lg font-semibold tracking-[-0.02em]">
        <Mark size={28} />
        Keyward
      </div>
      <div className="rounded-xl border border-line bg-surface p-6">
        <h1 className="mb-2 text-xl font-semibold tracking-[-0.02em]">{title}</h1>
        {children}
      </div>
    </main>
  )
}
