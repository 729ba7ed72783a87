import { LoaderCircle, type LucideIcon } from 'lucide-react'
import type { ButtonHTMLAttributes, ReactNode } from 'react'

export type Tone = 'solid' | 'plain' | 'quiet' | 'danger'

const tones: Record<Tone, string> = {
  solid: 'bg-solid text-on-solid hover:bg-solid-hover border-transparent',
  plain: 'bg-surface text-ink border-edge/60 hover:bg-hover',
  quiet: 'bg-transparent text-ink border-transparent hover:bg-hover',
  danger: 'bg-surface text-bad border-bad/50 hover:bg-bad-wash',
}

export function buttonStyle(tone: Tone = 'plain', size: 'normal' | 'small' = 'normal'): string {
  const sizes = size === 'normal' ? 'h-9 px-3.5 text-sm' : 'h-7 px-2.5 text-[0.8125rem]'
  return `inline-flex items-center justify-center gap-2 rounded-md border font-medium whitespace-nowrap transition-colors disabled:opacity-55 disabled:pointer-events-none ${sizes} ${tones[tone]}`
}

type Props = ButtonHTMLAttributes<HTMLButtonElement> & {
  tone?: Tone
  size?: 'normal' | 'small'
  icon?: LucideIcon
  busy?: boolean
  children: ReactNode
}

export function Button({
  tone = 'plain',
  size = 'normal',
  icon,
  busy = false,
  children,
  className,
  ...rest
}: Props) {
  const Icon = busy ? LoaderCircle : icon
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled || busy}
      aria-busy={busy || undefined}
      className={`${buttonStyle(tone, size)} ${className ?? ''}`}
    >
      {Icon ? (
        <Icon size={size === 'small' ? 14 : 16} className={busy ? 'spin' : ''} aria-hidden="true" />
      ) : null}
      {children}
    </button>
  )
}

type IconProps = Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'children'> & {
  icon: LucideIcon
  label: string
}

export function IconButton({ icon: Icon, label, className, ...rest }: IconProps) {
  return (
    <button
      type="button"
      {...rest}
      aria-label={label}
      title={label}
      className={`inline-flex size-8 shrink-0 items-center justify-center rounded-md text-muted transition-colors hover:bg-hover hover:text-ink ${className ?? ''}`}
    >
      <Icon size={17} aria-hidden="true" />
    </button>
  )
}
