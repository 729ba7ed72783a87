export { SignIn, type SignInState } from './sign-in.tsx'
export { takeSignInCode } from './sign-in-code.ts'
