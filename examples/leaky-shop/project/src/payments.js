const address = process.env.PAYMENTS_API_URL
const apiKey = process.env.PAYMENTS_API_KEY

/** Charges a basket once, however often it is asked: the basket's id is the idempotency key. */
export async function charge(totalCents, basketId) {
  const response = await fetch(`${address}/v1/charges`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'idempotency-key': basketId,
    },
    body: JSON.stringify({ amount: totalCents, currency: 'eur' }),
  })
  if (!response.ok) throw new Error(`the payments API answered ${response.status}`)
  return response.json()
}
