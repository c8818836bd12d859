#define JVERSION "4.1.5"
#define JCOPYRIGHT "The libjpeg-turbo Project, Mozilla and many others"
#define JCOPYRIGHT_SHORT JCOPYRIGHT
