import { Input, Select } from '../../ui/field.tsx'

export const methods = ['GET', 'LIST', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
export type Method = (typeof methods)[number]
export type Question = { readonly method: Method; readonly path: string }

type Props = { question: Question; onChange: (question: Question) => void }

/** The request that is asked about. */
export function QuestionFields({ question, onChange }: Props) {
  return (
    <div className="flex flex-wrap items-end gap-3">
      <div className="w-28">
        <Select
          label="Method"
          value={question.method}
          options={methods.map((method) => [method, method] as const)}
          onChange={(method) => onChange({ ...question, method })}
        />
      </div>
      <div className="min-w-52 flex-1">
        <Input
          label="Path"
          value={question.path}
          spellCheck={false}
          autoComplete="off"
          placeholder="secret/data/shop/stripe"
          onChange={({ target }) => onChange({ ...question, path: target.value })}
        />
      </div>
    </div>
  )
}
