import type { Receipt } from '@keyward/contract'
import { Badge, receiptLook } from './badge.tsx'
import { Digest } from './copy.tsx'
import { ExactTime, Time } from './time.tsx'

/** What was answered when an ended lease was tried once more. */
export function ReceiptView({ receipt }: { receipt: Receipt | null }) {
  if (!receipt) return null
  const { state, at, attempts, nextTryAt, proofs, digest } = receipt
  return (
    <details className="text-xs">
      <summary className="inline-flex min-h-6 cursor-pointer items-center">
        <Badge look={receiptLook[state]} />
      </summary>
      <ul className="mt-1.5 flex flex-col gap-1 border-l-2 border-line pl-3">
        {proofs.map(({ by, how, answer, result, livesUntil }) => (
          <li key={`${by} ${how}`} className="wrap-anywhere">
            <span className="font-medium">{by}</span>: {how}
            {answer === '' ? '' : `, answer ${answer}`}, {resultText[result]}
            {livesUntil ? (
              <>
                {' '}
                until <ExactTime at={livesUntil} />
              </>
            ) : null}
          </li>
        ))}
        <li className="text-muted">
          {at ? (
            <>
              tried <Time at={at} />
              {attempts > 1 ? ` for the ${attempts}th time` : ''}
            </>
          ) : (
            'not tried yet'
          )}
          {nextTryAt ? (
            <>
              , next <Time at={nextTryAt} />
            </>
          ) : null}
        </li>
        {digest ? (
          <li>
            <Digest value={digest} what="the digest of the receipt" />
          </li>
        ) : null}
      </ul>
    </details>
  )
}

const resultText: Record<Receipt['proofs'][number]['result'], string> = {
  refused: 'refused',
  confirmed: 'over, as it says',
  lives_on: 'lives on',
  accepted: 'not refused',
  unanswered: 'could not be asked',
}
