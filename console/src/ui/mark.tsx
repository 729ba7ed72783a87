/** The Keyward mark: a K whose stem is a key's shaft and whose teeth are the wards of a lock. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" aria-hidden="true">
      <path d="M5 2.5v19" stroke="currentColor" strokeWidth="3.2" />
      <path d="M6.6 5.8h4.2M6.6 18.2h4.2" stroke="var(--brass-mark)" strokeWidth="2.6" />
      <path d="M20.5 3 11.6 12l8.9 9" stroke="var(--brass-mark)" strokeWidth="3.2" strokeLinejoin="miter" />
    </svg>
  )
}
