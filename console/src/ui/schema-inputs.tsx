import { Input, Select, TextArea } from './field.tsx'
import { type SchemaField, valuesOf, type Written } from './schema-values.ts'

type Props = {
  fields: readonly SchemaField[]
  written: Written
  onChange: (written: Written) => void
}

/** A field for each part of an object that a JSON Schema describes. */
export function SchemaInputs({ fields, written, onChange }: Props) {
  if (fields.length === 0) return null
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      {fields.map((field) => (
        <Field
          key={field.name}
          field={field}
          value={written[field.name] ?? ''}
          set={(value) => onChange({ ...written, [field.name]: value })}
        />
      ))}
    </div>
  )
}

const hints: Partial<Record<SchemaField['kind'], string>> = {
  list: 'Several with commas between them',
  json: 'As JSON',
}

type FieldProps = { field: SchemaField; value: string; set: (value: string) => void }

function Field({ field, value, set }: FieldProps) {
  const { name, kind, required, placeholder, choices } = field
  const hint = [field.hint, hints[kind]].filter(Boolean).join('. ')
  const shared = { label: name, hint, required, placeholder, autoComplete: 'off', spellCheck: false, value }
  if (kind === 'choice' || kind === 'boolean') {
    const texts = kind === 'boolean' ? ['true', 'false'] : choices.map(String)
    const unset = placeholder === '' ? '–' : `– (${placeholder})`
    return (
      <Select
        label={name}
        hint={hint}
        required={required}
        value={value}
        options={[['', unset] as const, ...texts.map((text) => [text, text] as const)]}
        onChange={set}
      />
    )
  }
  if (kind === 'json') {
    const wrong = valuesOf([field], { [name]: value }) === undefined
    return (
      <div className="sm:col-span-2">
        <TextArea
          {...shared}
          error={wrong ? 'This is not JSON yet.' : undefined}
          onChange={({ target }) => set(target.value)}
        />
      </div>
    )
  }
  return (
    <Input
      {...shared}
      type={kind === 'number' ? 'number' : 'text'}
      step="any"
      onChange={({ target }) => set(target.value)}
    />
  )
}
