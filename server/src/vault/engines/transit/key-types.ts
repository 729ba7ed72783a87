/** What sets one type of key apart from another; everything else asks this table. */
export type Traits =
  | {
      readonly kind: 'aead'
      readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
      readonly keyBytes: number
    }
  | { readonly kind: 'ed25519' }
  | {
      readonly kind: 'ecdsa'
      readonly curve: 'prime256v1' | 'secp384r1' | 'secp521r1'
      readonly name: string
    }
  | { readonly kind: 'rsa'; readonly bits: number }
  | { readonly kind: 'hmac' }

export const keyTypes = {
  'aes128-gcm96': { kind: 'aead', cipher: 'aes-128-gcm', keyBytes: 16 },
  'aes256-gcm96': { kind: 'aead', cipher: 'aes-256-gcm', keyBytes: 32 },
  'chacha20-poly1305': { kind: 'aead', cipher: 'chacha20-poly1305', keyBytes: 32 },
  ed25519: { kind: 'ed25519' },
  'ecdsa-p256': { kind: 'ecdsa', curve: 'prime256v1', name: 'P-256' },
  'ecdsa-p384': { kind: 'ecdsa', curve: 'secp384r1', name: 'P-384' },
  'ecdsa-p521': { kind: 'ecdsa', curve: 'secp521r1', name: 'P-521' },
  'rsa-2048': { kind: 'rsa', bits: 2048 },
  'rsa-3072': { kind: 'rsa', bits: 3072 },
  'rsa-4096': { kind: 'rsa', bits: 4096 },
  hmac: { kind: 'hmac' },
} as const satisfies Record<string, Traits>

export type KeyType = keyof typeof keyTypes

export const isKeyType = (text: string): text is KeyType => Object.hasOwn(keyTypes, text)
export const traitsOf = (type: KeyType): Traits => keyTypes[type]

export const canEncrypt = ({ kind }: Traits): boolean => kind === 'aead' || kind === 'rsa'
export const canSign = ({ kind }: Traits): boolean => kind === 'ed25519' || kind === 'ecdsa' || kind === 'rsa'
export const canDerive = ({ kind }: Traits): boolean => kind === 'aead' || kind === 'ed25519'
export const canConverge = ({ kind }: Traits): boolean => kind === 'aead'
/** Has a key that may be shown. */
export const isAsymmetric = (traits: Traits): boolean => canSign(traits)
