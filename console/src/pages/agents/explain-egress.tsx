import { api, type EgressExplanation } from '@keyward/contract'
import { useMutation } from '@tanstack/react-query'
import { CircleCheck, CircleX } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'] as const
type Method = (typeof methods)[number]

/** Asks which rule lets a request of the agent out, or what is missing; nothing is sent. */
export function ExplainEgress({ agentId }: { agentId: string }) {
  const [method, setMethod] = useState<Method>('GET')
  const [url, setUrl] = useState('')
  const explain = useMutation({ mutationFn: () => call(api.egress.explain, { agentId, url, method }) })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    explain.mutate()
  }
  return (
    <form className="flex flex-col gap-3" onSubmit={submit}>
      <div className="flex flex-wrap items-end gap-3">
        <div className="w-28">
          <Select
            label="Method"
            value={method}
            options={methods.map((one) => [one, one] as const)}
            onChange={setMethod}
          />
        </div>
        <div className="min-w-52 flex-1">
          <Input
            label="Address"
            value={url}
            required
            spellCheck={false}
            autoComplete="off"
            placeholder="https://api.example.com/v1/charges"
            onChange={({ target }) => setUrl(target.value)}
          />
        </div>
        <Button type="submit" busy={explain.isPending}>
          Explain
        </Button>
      </div>
      {explain.error ? <Failure error={explain.error} /> : null}
      <div aria-live="polite">{explain.data ? <Explained explanation={explain.data} /> : null}</div>
    </form>
  )
}

export function Explained({
  explanation: { allowed, checks, candidates },
}: {
  explanation: EgressExplanation
}) {
  return (
    <div className="rounded-lg border border-line px-3 py-3">
      <p className="mb-2 font-medium">{allowed ? 'It would be let out' : 'It would be refused'}</p>
      <ul className="flex flex-col gap-1 text-[0.8125rem]">
        {checks.map(({ what, holds, text }) => (
          <Line key={what} holds={holds} text={text} />
        ))}
      </ul>
      {candidates.length === 0 ? null : (
        <ul className="mt-3 flex flex-col gap-1 border-t border-line pt-3 text-[0.8125rem]">
          {candidates.map(({ id, kind, secretPath, admits, text }) => (
            <Line key={id} holds={admits} text={`${kind} ${id} on ${secretPath}: ${text}`} />
          ))}
        </ul>
      )}
    </div>
  )
}

function Line({ holds, text }: { holds: boolean; text: string }) {
  const Icon = holds ? CircleCheck : CircleX
  return (
    <li className="flex gap-2">
      <Icon size={16} aria-hidden="true" className={`mt-0.5 shrink-0 ${holds ? 'text-ok' : 'text-bad'}`} />
      <span className="min-w-0 wrap-anywhere">
        <span className="sr-only">{holds ? 'Holds: ' : 'Does not hold: '}</span>
        {text}
      </span>
    </li>
  )
}
