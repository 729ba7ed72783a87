import { api } from '@keyward/contract'
import { useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { CircleHelp } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { tokensQuery } from '../../api/vault-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Explanation } from './explanation.tsx'
import { type Question, QuestionFields } from './question.tsx'
import { VaultFrame } from './vault-frame.tsx'

/** Why a token is refused: the answer to the 403 that says nothing. */
export function ExplainPage() {
  const reading = useInfiniteQuery(tokensQuery)
  const tokens =
    reading.data?.pages.flatMap(({ items }) => items).filter(({ accessor }) => accessor !== '') ?? []
  const [accessor, setAccessor] = useState('')
  const [from, setFrom] = useState('')
  const [question, setQuestion] = useState<Question>({ method: 'GET', path: '' })
  const explain = useMutation({
    mutationFn: () =>
      call(api.vault.explain, { ...question, accessor, ...(from === '' ? {} : { remoteAddress: from }) }),
    gcTime: 0,
  })
  const ready = accessor !== '' && question.path.trim() !== ''
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (ready) explain.mutate()
  }
  const options = [
    ['', 'Choose a token'],
    ...tokens.map(
      ({ accessor: id, displayName, policies }) =>
        [id, `${displayName || 'token'} · ${policies.join(', ')} · ${id.slice(0, 8)}`] as const,
    ),
  ] as const
  return (
    <VaultFrame
      title="Why refused?"
      lead="A refused request is told nothing but 403. Here stands which rule decided, and the line that a policy would need."
      reading={reading}
    >
      <div className="grid gap-5 min-[1180px]:grid-cols-2">
        <Sheet className="self-start p-5">
          <form onSubmit={submit} className="flex flex-col gap-4">
            <Select label="Token" value={accessor} options={options} onChange={setAccessor} />
            <QuestionFields question={question} onChange={setQuestion} />
            <Input
              label="From address"
              value={from}
              autoComplete="off"
              placeholder="any"
              hint="Only needed for a token that is bound to addresses."
              onChange={({ target }) => setFrom(target.value)}
            />
            <div className="flex justify-end">
              <Button tone="solid" type="submit" icon={CircleHelp} disabled={!ready} busy={explain.isPending}>
                Explain
              </Button>
            </div>
          </form>
          <p className="mt-4 mb-1.5 text-muted">A program can ask about its own token:</p>
          <Command text="keyward vault explain GET secret/data/shop/stripe" />
        </Sheet>
        <div>
          {explain.error ? <Failure error={explain.error} /> : null}
          {explain.data ? (
            <Sheet className="p-5">
              <Explanation explanation={explain.data} />
            </Sheet>
          ) : null}
          {explain.data || explain.error ? null : (
            <div className="flex min-h-40 flex-col items-center justify-center gap-3 rounded-xl border border-dashed border-edge/50 px-6 text-center text-muted">
              <CircleHelp size={22} aria-hidden="true" />
              <p>Nothing of the request is carried out. That you asked is recorded.</p>
            </div>
          )}
        </div>
      </div>
    </VaultFrame>
  )
}
