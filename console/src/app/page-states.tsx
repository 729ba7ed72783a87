import { type ErrorComponentProps, Link } from '@tanstack/react-router'
import { MapPinOff } from 'lucide-react'
import { buttonStyle } from '../ui/button.tsx'
import { Empty, Failure, Skeleton } from '../ui/notice.tsx'
import { PageHeader } from '../ui/page.tsx'

export function PagePending() {
  return <Skeleton rows={6} label="Loading the page" />
}

export function PageFailure({ error, reset }: ErrorComponentProps) {
  return (
    <>
      <PageHeader title="This page could not be shown" />
      <Failure error={error} retry={reset} />
    </>
  )
}

export function NotFound() {
  return (
    <>
      <PageHeader title="Not found" />
      <Empty icon={MapPinOff} title="Nothing lives at this address">
        <p>The link may be old, or mistyped.</p>
        <Link to="/" className={buttonStyle()}>
          Go to the overview
        </Link>
      </Empty>
    </>
  )
}
