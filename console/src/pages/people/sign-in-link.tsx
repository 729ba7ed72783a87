import { ShownOnce } from '../../ui/shown-once.tsx'

/** The code stands in the fragment, which browsers send to no server. */
export function SignInLink({ code, onClose }: { code: string; onClose: () => void }) {
  const link = `${window.location.origin}/#code=${encodeURIComponent(code)}`
  return (
    <ShownOnce value={link} label="Copy the sign-in link" onClose={onClose}>
      This link signs in once, within ten minutes, and is shown only now. Hand it over yourself: whoever opens
      it first has the account.
    </ShownOnce>
  )
}
