// What a browser and a security key are asked, and what they answer, in the contract's texts. https://www.w3.org/TR/webauthn-3/

const bytesOf = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0))

/** Base 64 for URLs, without padding. */
const textOf = (bytes: ArrayBuffer): string =>
  btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(''))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

const isAddress = /^[\d.]+$|:/

/** Not where the page was opened by an address in numbers: keys belong to names. */
export const keysWorkHere = (): boolean =>
  'PublicKeyCredential' in window && !isAddress.test(window.location.hostname)

type NewKey = {
  challenge: string
  rpId: string
  userId: string
  userName: string
  algorithms: readonly number[]
  exclude: readonly string[]
}

/** Rejects when the person takes their hand away, the key is known already, or nothing answers in time. */
export async function makeKey(asked: NewKey): Promise<{ clientData: string; attestation: string }> {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: bytesOf(asked.challenge),
      rp: { id: asked.rpId, name: 'Keyward' },
      user: { id: bytesOf(asked.userId), name: asked.userName, displayName: asked.userName },
      pubKeyCredParams: asked.algorithms.map((alg) => ({ type: 'public-key', alg })),
      excludeCredentials: asked.exclude.map((id) => ({ type: 'public-key', id: bytesOf(id) })),
      authenticatorSelection: { userVerification: 'preferred' },
      attestation: 'none',
    },
  })
  const { response } = made as PublicKeyCredential
  const { clientDataJSON, attestationObject } = response as AuthenticatorAttestationResponse
  return { clientData: textOf(clientDataJSON), attestation: textOf(attestationObject) }
}

type Challenge = { challenge: string; rpId: string; credentials: readonly string[] }

export async function signWithKey({ challenge, rpId, credentials }: Challenge) {
  const signed = await navigator.credentials.get({
    publicKey: {
      challenge: bytesOf(challenge),
      rpId,
      allowCredentials: credentials.map((id) => ({ type: 'public-key', id: bytesOf(id) })),
      userVerification: 'preferred',
    },
  })
  const key = signed as PublicKeyCredential
  const { clientDataJSON, authenticatorData, signature } = key.response as AuthenticatorAssertionResponse
  return {
    credential: textOf(key.rawId),
    clientData: textOf(clientDataJSON),
    authenticatorData: textOf(authenticatorData),
    signature: textOf(signature),
  }
}
