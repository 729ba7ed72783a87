import { type InputHTMLAttributes, type ReactNode, type TextareaHTMLAttributes, useId } from 'react'

const control =
  'w-full rounded-md border border-edge bg-surface px-3 text-sm text-ink placeholder:text-muted disabled:opacity-60'

type Labelled = { label: string; hint?: ReactNode; error?: string | undefined }

function Frame({ id, label, hint, error, children }: Labelled & { id: string; children: ReactNode }) {
  return (
    <div>
      <label htmlFor={id} className="mb-1 block text-[0.8125rem] font-medium">
        {label}
      </label>
      {children}
      {hint ? (
        <p id={`${id}-hint`} className="mt-1 text-xs text-muted">
          {hint}
        </p>
      ) : null}
      {error ? (
        <p id={`${id}-error`} role="alert" className="mt-1 text-xs font-medium text-bad">
          {error}
        </p>
      ) : null}
    </div>
  )
}

function described(id: string, { hint, error }: Labelled): string | undefined {
  const ids = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean)
  return ids.length > 0 ? ids.join(' ') : undefined
}

export function Input({ label, hint, error, ...rest }: Labelled & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId()
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <input
        {...rest}
        id={id}
        aria-invalid={error ? true : undefined}
        aria-describedby={described(id, { label, hint, error })}
        className={`${control} h-9`}
      />
    </Frame>
  )
}

export function TextArea({
  label,
  hint,
  error,
  ...rest
}: Labelled & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId()
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <textarea
        rows={3}
        {...rest}
        id={id}
        aria-invalid={error ? true : undefined}
        aria-describedby={described(id, { label, hint, error })}
        className={`${control} min-h-20 py-2`}
      />
    </Frame>
  )
}

type SelectProps<T extends string> = Labelled & ChoiceProps<T> & { required?: boolean }

/** A native select below its label, as wide as there is room. */
export function Select<T extends string>(props: SelectProps<T>) {
  const { label, hint, error, value, options, onChange, required } = props
  const id = useId()
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <select
        id={id}
        value={value}
        required={required}
        aria-describedby={described(id, { label, hint, error })}
        onChange={({ target }) => {
          const chosen = options.find(([name]) => name === target.value)
          if (chosen) onChange(chosen[0])
        }}
        className={`${control} h-9 truncate pr-7`}
      >
        {options.map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </Frame>
  )
}

type ChoiceProps<T extends string> = {
  label: string
  value: T
  options: readonly (readonly [value: T, text: string])[]
  onChange: (value: T) => void
}

/** A native select: the platform's own keyboard and touch behaviour. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  const id = useId()
  return (
    <span className="inline-flex items-center gap-2">
      <label htmlFor={id} className="text-[0.8125rem] text-muted">
        {label}
      </label>
      <select
        id={id}
        value={value}
        onChange={({ target }) => {
          const chosen = options.find(([name]) => name === target.value)
          if (chosen) onChange(chosen[0])
        }}
        className="h-8 rounded-md border border-edge bg-surface pr-7 pl-2.5 text-[0.8125rem]"
      >
        {options.map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </span>
  )
}

type CheckProps = { checked: boolean; onChange: (checked: boolean) => void; children: ReactNode }

export function Check({ checked, onChange, children }: CheckProps) {
  return (
    <label className="flex min-h-6 items-center gap-2.5">
      <input
        type="checkbox"
        checked={checked}
        onChange={({ target }) => onChange(target.checked)}
        className="size-4 accent-(--solid)"
      />
      <span>{children}</span>
    </label>
  )
}
