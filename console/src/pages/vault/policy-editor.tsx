import { type AclPolicyView, api } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useDeferredValue, useState } from 'react'
import { call, problemOf } from '../../api/index.ts'
import { policyTestQuery } from '../../api/vault-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Input, TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Explanation } from './explanation.tsx'
import { type Question, QuestionFields } from './question.tsx'
import { useChange } from './use-change.ts'

const example = 'path "secret/data/shop/*" {\n  capabilities = ["read"]\n}\n'

type Props = { policy: AclPolicyView | undefined; onWritten: (name: string) => void }

/** The text of a policy, and beside it a request to try it on, before anything is stored. */
export function PolicyEditor({ policy, onWritten }: Props) {
  const [name, setName] = useState(policy?.name ?? '')
  const [text, setText] = useState(policy?.text ?? example)
  const [told, setTold] = useState(false)
  const write = useChange({
    work: () => call(api.acl.write, { policyName: name, text }),
    done: `${name} is in force`,
    onDone: () => onWritten(name),
  })
  const wrong =
    problemOf(write.error).code === 'policy.invalid' && write.error
      ? problemOf(write.error).detail
      : undefined
  const unnamed = told && name.trim() === ''
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (name.trim() !== '') write.mutate()
  }
  return (
    <div className="flex flex-col gap-7">
      <form onSubmit={submit} className="flex flex-col gap-4">
        {policy ? null : (
          <Input
            label="Name"
            value={name}
            spellCheck={false}
            autoComplete="off"
            error={unnamed ? 'Name the policy.' : undefined}
            onChange={({ target }) => setName(target.value)}
          />
        )}
        <div className="[&_textarea]:min-h-56 [&_textarea]:font-mono [&_textarea]:text-[0.8125rem] [&_textarea]:leading-relaxed">
          <TextArea
            label="Rules"
            value={text}
            spellCheck={false}
            rows={Math.min(24, text.split('\n').length + 1)}
            error={wrong}
            hint="HCL or JSON. Of the rules that match a path only the most specific counts."
            onChange={({ target }) => {
              setText(target.value)
              if (write.error) write.reset()
            }}
          />
        </div>
        {write.error && !wrong ? <Failure error={write.error} /> : null}
        <div className="flex justify-end">
          <Button tone="solid" type="submit" busy={write.isPending} disabled={policy?.text === text}>
            {policy ? 'Save' : 'Write the policy'}
          </Button>
        </div>
      </form>
      <Tester text={text} name={name} />
    </div>
  )
}

function Tester({ text, name }: { text: string; name: string }) {
  const [question, setQuestion] = useState<Question>({ method: 'GET', path: '' })
  const asked = useDeferredValue({ ...question, text })
  const test = useQuery({
    ...policyTestQuery({ ...asked, name: name.trim() || 'draft' }),
    placeholderData: (before) => before,
  })
  return (
    <section aria-label="Try it" className="border-t border-line pt-5">
      <h3 className="mb-3 font-medium">Try it, as it stands here</h3>
      <QuestionFields question={question} onChange={setQuestion} />
      <div className="mt-4 min-h-16">
        {question.path.trim() === '' ? (
          <p className="text-muted">Name a request to see whether this policy alone would allow it.</p>
        ) : null}
        {test.error ? <Failure error={test.error} /> : null}
        {test.data && !test.error && question.path.trim() !== '' ? (
          <Explanation explanation={test.data} />
        ) : null}
      </div>
    </section>
  )
}
